"""The lines that say how a run goes on in a terminal; while nothing else is said, one every few seconds."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

SILENT_SECONDS = 4.0


class ProgressLines:
    """The lines of a run on stderr."""

    def __init__(self) -> None:
        self._last_line_at = time.monotonic()

    def write(self, line: str) -> None:
        """Prints a line."""
        self._last_line_at = time.monotonic()
        sys.stderr.write(line + "\n")
        sys.stderr.flush()

    @contextmanager
    def never_silent(self) -> Iterator[None]:
        """Prints the seconds since the body began whenever SILENT_SECONDS have passed without a line."""
        began = self._last_line_at = time.monotonic()
        is_over = threading.Event()

        def break_silence() -> None:
            while not is_over.wait(max(0.0, self._last_line_at + SILENT_SECONDS - time.monotonic())):
                if time.monotonic() - self._last_line_at >= SILENT_SECONDS:
                    self.write(f"  … {time.monotonic() - began:.0f} s")

        thread = threading.Thread(target=break_silence, daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()


PROGRESS_LINES = ProgressLines()
