"""The signals that end a command: Ctrl-C, SIGTERM, and SIGHUP when its terminal closes."""

import signal

INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def accept_interrupts() -> None:
    """Makes each of the signals raise KeyboardInterrupt, as Ctrl-C does.

    A shell starts what a script runs in the background with SIGINT ignored, and Dagster treats SIGTERM like SIGINT.
    """
    for number in INTERRUPTS:
        # nohup ignores it, and means it.
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def ignore_interrupts() -> None:
    """Makes this process ignore the signals."""
    for number in INTERRUPTS:
        signal.signal(number, signal.SIG_IGN)
