"""Tables as LaTeX, in parts where they are too wide, and on a terminal."""

from __future__ import annotations

from io import StringIO

import pytest

from archbench.report.tables.table import Column, Table

TABLE = Table(
    [Column("network", "left"), Column("params\n(M)"), Column("latency_\nms")],
    [["a & b_c", "1", "50 %"], ["  paper/table4", "2", "-"], []],
    title="50 % of {all} #1",
    notes=["x^2 ~ y\\z < $3 | [a]"],
)


def test_latex_escapes_what_it_must() -> None:
    assert TABLE.latex() == LATEX


LATEX = r"""\begin{table}
\centering
\caption{50 \% of \{all\} \#1}
\begin{tabular}{lrr}
\hline
network & params (M) & latency\_ ms \\
\hline
a \& b\_c & 1 & 50 \% \\
\quad paper/table4 & 2 & - \\
\hline
\end{tabular}
\par {\footnotesize x\textasciicircum{}2 \textasciitilde{} y\textbackslash{}z \textless{} \$3 \textbar{} {[}a]}
\end{table}
"""  # noqa: E501


def test_a_wide_table_is_split_by_columns_and_repeats_the_first() -> None:
    columns = [Column("name", "left"), *(Column(f"figure {n}") for n in range(5))]
    table = Table(columns, [["vovnet39", *map(str, range(5))], []], title="wide", notes=["a note"])
    parts = table.split(30)
    assert [[column.heading for column in part.columns] for part in parts] == [
        ["name", "figure 0", "figure 1"],
        ["name", "figure 2", "figure 3"],
        ["name", "figure 4"],
    ]
    assert [part.title for part in parts] == ["wide", "", ""]
    assert [list(part.notes) for part in parts] == [[], [], ["a note"]]
    assert parts[1].rows == [["vovnet39", "2", "3"], []]
    assert max(len(line) for part in parts for line in part.plain().splitlines()) <= 30


def test_a_table_that_fits_stays_whole() -> None:
    assert TABLE.split(80) == [
        Table(TABLE.columns, [list(row) for row in TABLE.rows], TABLE.title, TABLE.notes)
    ]


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_a_title_may_be_wider_than_its_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    terminal = Terminal()
    title = "a title of more characters than its table has"
    Table([Column("network", "left")], [["vovnet39"]], title=title).print(terminal)
    assert title in terminal.getvalue()
