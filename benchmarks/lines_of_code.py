"""Lines of code per folder, without blanks, comments and docstrings, now and at a commit.

Run it with `python -m benchmarks.lines_of_code <commit>`. SQL files count too.
"""

import ast
import io
import subprocess
import sys
import tarfile
import tokenize
from collections import Counter
from pathlib import PurePath
from typing import Final

COUNTED: Final = ("crm_pipeline", "crm_pipeline_tests", "benchmarks")
_NO_CODE: Final = (
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
)


def main() -> None:
    """Print lines at the commit, lines in HEAD and their difference, per folder."""
    before, now = (count_folders(commit) for commit in (sys.argv[1], "HEAD"))
    totals = {folder: sum(n for path, n in now.items() if path.split("/")[0] == folder) for folder in COUNTED}
    for folder in sorted(before | now):
        print(f"{folder:55}{before[folder]:>8,}{now[folder]:>8,}{now[folder] - before[folder]:>+8,}")
    for folder, lines in totals.items():
        earlier = sum(n for path, n in before.items() if path.split("/")[0] == folder)
        print(f"{'all of ' + folder:55}{earlier:>8,}{lines:>8,}{lines - earlier:>+8,}")


def count_folders(commit: str) -> Counter[str]:
    """Returns the lines of code per folder of a commit."""
    archive = subprocess.run(["git", "archive", commit, *COUNTED], check=True, capture_output=True).stdout  # noqa: S603, S607
    lines: Counter[str] = Counter()
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        for file in files:
            path = PurePath(file.name)
            if path.suffix in (".py", ".sql") and (content := files.extractfile(file)):
                text = content.read().decode("utf-8")
                lines[str(path.parent)] += count_python(text) if path.suffix == ".py" else count_sql(text)
    return lines


def count_python(text: str) -> int:
    """Returns the number of lines with code."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    code = {n for t in tokens if t.type not in _NO_CODE for n in range(t.start[0], t.end[0] + 1)}
    for node in ast.walk(ast.parse(text)):
        # A docstring, or what says what the assignment before it holds.
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            code -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(code)


def count_sql(text: str) -> int:
    """Returns the number of lines that are neither blank nor a comment."""
    return sum(1 for line in text.splitlines() if line.strip() and not line.strip().startswith("--"))


if __name__ == "__main__":
    main()
