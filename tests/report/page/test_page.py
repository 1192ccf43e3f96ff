"""The page without a browser: what it holds, that nothing in a record becomes markup, and that it
loads nothing.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from archbench.escaping import visible
from archbench.reasons import Flag, Reason, Status
from archbench.records import Cause, Metric, Record
from archbench.report.data.rows import COLUMNS
from archbench.report.page.devices import device_cards
from archbench.report.page.page import Contents, Picture, page
from archbench.settings import QUICK, SETTINGS
from archbench.spec import Spec

EVIL = """</script><script>alert(1)</script><img src=x onerror="alert(1)">'`$data ${x}&amp;\u2028\u2029"""  # noqa: E501


class Reader(HTMLParser):
    """Reads a page: its elements with their attributes, the texts of cells, and what scripts
    hold.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        (
            self.scripts
            if self.elements and self.elements[-1][0] == "script" and data.strip()
            else self.texts
        ).append(data)


def made(records: Sequence[Record], **changes: Any) -> str:
    contents = Contents(records, [], {}, "2025-01-02 03:04 UTC", "9.9")
    return page(replace(contents, **changes))


def data_of(text: str) -> dict[str, Any]:
    (found,) = re.findall(
        r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL
    )
    return json.loads(found)


@pytest.fixture
def evil() -> Record:
    """A record with markup in every text that it has."""
    spec = Spec(EVIL, EVIL, 320, 320, 80, options=((EVIL, EVIL),))
    measured = {
        "latency_ms": Metric(20.0, EVIL, EVIL, EVIL, flags=(Flag(EVIL),)),
        "fps": Metric(None, EVIL, reason=Reason(EVIL)),
    }
    environment = {"device": EVIL, "device_name": EVIL, "uuid": EVIL, EVIL: {EVIL: [EVIL]}}
    return Record(
        spec,
        None,
        Status.ERROR,
        Cause(Reason(EVIL), EVIL, EVIL),
        {"params": 1},
        measured,
        environment,
        {"inputs": EVIL},
        time_utc=EVIL,
        record_id=EVIL,
    )


def test_nothing_in_a_record_becomes_markup(record: Callable[..., Record], evil: Record) -> None:
    usual = made([record()])
    text = made(
        [record(), evil],
        pictures=[Picture(EVIL, EVIL, "<svg></svg>", [EVIL])],
        missing={EVIL: EVIL},
        time=EVIL,
        version=EVIL,
    )
    read = Reader(text)
    scripts = [attributes for tag, attributes in read.elements if tag == "script"]
    assert scripts == [attributes for tag, attributes in Reader(usual).elements if tag == "script"]
    assert not [
        attributes
        for tag, attributes in read.elements
        if tag == "img" or any(name.startswith("on") for name in attributes)
    ]
    assert visible(EVIL) in "".join(read.texts)
    assert data_of(text)["names"][1].startswith(visible(EVIL))


def test_json_cannot_end_its_script(record: Callable[..., Record], evil: Record) -> None:
    text = made([record(), replace(evil, time_utc="<!--<script>")])
    (inside,) = re.findall(r'<script type="application/json" id="data">(.*)</script>', text)
    assert not re.search("[<>&\u2028\u2029]", inside)
    columns = {column["name"]: column for column in json.loads(inside)["columns"]}
    assert columns["time_utc"]["texts"][1] == "<!--<script>"
    assert columns["record_id"]["texts"][1] == visible(EVIL)


def test_the_policy_allows_these_scripts_and_nothing_else(record: Callable[..., Record]) -> None:
    text = made([record()])
    (policy,) = (
        html.unescape(a["content"])
        for tag, a in Reader(text).elements
        if a.get("http-equiv") == "Content-Security-Policy"
    )
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digests = [
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts
    ]
    assert len(digests) == 2
    assert policy == (
        f"default-src 'none'; script-src 'sha256-{digests[0]}' 'sha256-{digests[1]}'; style-src "
        "'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def test_the_page_refers_to_nothing_outside_it(record: Callable[..., Record]) -> None:
    read = Reader(made([record()]))
    links = [
        (name, value)
        for _, attributes in read.elements
        for name, value in attributes.items()
        if name in ("src", "href", "action")
    ]
    assert links
    assert all(name == "href" and value.startswith("#") for name, value in links)
    assert not [
        tag for tag, _ in read.elements if tag in ("link", "iframe", "object", "embed", "base")
    ]


def test_the_table_is_there_without_a_script(record: Callable[..., Record], failed: Record) -> None:
    text = made([record(), failed])
    (table,) = re.findall(r"<noscript>\n(.*?)</noscript>", text, re.DOTALL)
    assert table.count("<tr>") == 3
    assert '<th scope="row" class="left">vovnet39 + refinedet320</th>' in table
    assert '<td class="right" title="95 % interval: 19.0 to 22.0">20.0</td>' in table
    assert "<code>archbench profile vgg16" in table
    assert '<td class="left">out_of_memory</td>' in table


def test_the_data_have_every_column_of_every_record(
    record: Callable[..., Record], failed: Record
) -> None:
    data = data_of(made([record(), failed]))
    assert [column["name"] for column in data["columns"]] == [*COLUMNS, "command"]
    assert {len(column["texts"]) for column in data["columns"] if "texts" in column} == {2}
    latency = next(column for column in data["columns"] if column["name"] == "latency_ms")
    assert (latency["values"], latency["texts"], latency["unit"]) == (
        [20.0, None],
        ["20.0", "-"],
        "ms",
    )
    assert set(data["shown"]) <= {*COLUMNS, "command"}


def test_numbers_with_fewer_decimals_are_padded_to_the_point(record: Callable[..., Record]) -> None:
    def timed(value: float, half_width: float) -> Record:
        return record(
            measured={
                "latency_ms": Metric(
                    value, "ms", spread={"ci95": [value - half_width, value + half_width]}
                )
            }
        )

    text = made([timed(509.0, 9.0), timed(12.346, 0.005), timed(75.0, 2.0)], is_whole=True)
    cells = re.findall(r'<td class="(right[^"]*)" title="95 % interval[^>]*>([\d.]+)</td>', text)
    assert cells == [("right", "12.346"), ("right pad2", "75.0"), ("right pad3p", "509")]


def test_a_device_s_protocol_has_the_settings_that_the_page_shows(
    record: Callable[..., Record],
) -> None:
    (card,) = device_cards({"Example GPU": [record(settings=QUICK)]})
    facts = dict(card.tables[0].rows)
    shown = {name: facts.get(str(declared.heading)) for name, declared in SETTINGS.items()}
    assert {name for name, value in shown.items() if value is None} == {
        name for name, declared in SETTINGS.items() if declared.page is None
    }
    assert (shown["precision"], shown["target"], shown["fold_bn"]) == ("fp32", "0.02", "no")


def test_devices_have_protocol_and_fingerprint(record: Callable[..., Record]) -> None:
    texts = set(Reader(made([record(), record(gpu=False, day=3)])).texts)
    assert {"Example GPU, fp32, contiguous ", "Example CPU, 2 threads, fp32, contiguous "} <= texts
    assert {"max timing (s)", "30", "device name", "Example GPU"} <= texts


def test_a_papers_table_stands_beside_ours_once(record: Callable[..., Record]) -> None:
    text = made([record()])
    assert text.count("<summary>vovnet/table4: ") == 1
    assert "vovnet/figure4" not in text, "its networks are the table's"
    assert '<th class="left indented" scope="row">ours / paper</th>' in text
    assert "No record is of a network" in made([record("vovnet39", None, size="64x64")])


def test_claims_have_verdicts_and_their_reasons(record: Callable[..., Record]) -> None:
    text = made(
        [
            record(latency_ms=20.0),
            record("resnet50-v1", latency_ms=90.0),
            record("densenet201", latency_ms=40.0),
        ]
    )
    assert re.search(r'<td class="left (holds|fails)">(holds|fails)', text)
    assert "claims without a verdict, and why" in text


def test_figures_stand_in_the_page_and_those_not_drawn_say_why(
    record: Callable[..., Record],
) -> None:
    text = made(
        [record()],
        pictures=[Picture("time", "Time", "<svg></svg>", ["of parts."])],
        missing={"memory": "no record"},
    )
    assert "<figure><svg></svg><figcaption><b>Time</b> of parts.</figcaption></figure>" in text
    assert "<dt>memory</dt><dd>no record</dd>" in text


def test_who_made_it_when_is_told(record: Callable[..., Record]) -> None:
    assert "Made 2025-01-02 03:04 UTC by archbench 9.9." in made([record()])


def test_repeats_are_one_row_and_what_was_folded_is_told(
    record: Callable[..., Record], failed: Record
) -> None:
    repeats = [record(latency_ms=20.0 + day, day=day) for day in range(1, 6)]
    earlier = record(latency_ms=90.0, environment={**repeats[0].environment, "archbench": "0.1"})
    text = made([earlier, *repeats, failed])
    data = data_of(text)
    assert data["names"] == ["vovnet39 + refinedet320", "vgg16 + refinedet320"]
    latency = next(column for column in data["columns"] if column["name"] == "latency_ms")
    assert latency["values"] == [23.0, None], "of the newest version's repeats alone"
    (row,) = re.findall(r'<tr><th class="left" scope="row">vovnet39 \+.*</tr>', text)
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", row)
    assert cells[1:] == [
        "ok",
        "6",
        "1",
        "2025-01-01 to 2025-01-05",
        "23.00",
        "5",
        "21.00 to 25.00",
    ]
    assert "7 records of 2 networks" in text, "all of them count"


def test_a_network_at_several_batches_is_one_network(record: Callable[..., Record]) -> None:
    records = [record(batch=batch) for batch in (1, 2, 4)]
    training = replace(records[0], spec=replace(records[0].spec, mode="train"))
    text = made([*records, training])
    assert "4 records of 1 network, measured on" in text
    (summary,) = re.findall(r'<section id="summary">(.*?)</section>', text, re.DOTALL)
    devices, *_ = re.findall(r"<table>(.*?)</table>", summary, re.DOTALL)
    assert re.findall(r"<td[^>]*>([^<]*)</td>", devices) == ["1", "1", "4", "2025-01-01"]


def test_the_summary_has_devices_frontier_and_claims(record: Callable[..., Record]) -> None:
    def whole(name: str, detector: str, ms: float) -> Record:
        times = {"latency_ms": Metric(ms - 1, "ms"), "total_ms": Metric(ms, "ms")}
        return record(name, detector, measured=times)

    fast, accurate = whole("snet49", "thundernet320", 20.0), whole("vovnet39", "refinedet320", 90.0)
    slow = whole("snet146", "thundernet320", 500.0)
    text = made([fast, accurate, slow, record("resnet50-v1", gpu=False)])
    (summary,) = re.findall(r'<section id="summary">(.*?)</section>', text, re.DOTALL)
    assert text.index('id="summary"') < text.index('id="records"')
    devices, frontier, claims = re.findall(r"<table>(.*?)</table>", summary, re.DOTALL)
    assert "Example GPU, fp32, contiguous" in devices
    assert "Example CPU, 2 threads" in devices
    names = re.findall(r'<th class="left" scope="row">([^<]*)</th>', frontier)
    assert names == ["snet49 + thundernet320", "vovnet39 + refinedet320"]
    assert "3 of 3 networks have a total time and a published accuracy." in summary
    assert {"vovnet", "huang"} <= {*re.findall(r'scope="row">([^<]*)</th>', claims)}


def test_without_an_accuracy_and_a_whole_time_there_is_no_frontier(
    record: Callable[..., Record],
) -> None:
    assert "No network here has both a total time and a published accuracy" in made([record()])


def test_training_stands_behind_all_of_inference(record: Callable[..., Record]) -> None:
    quick, slow = record(latency_ms=5.0), record("vgg16", latency_ms=90.0)
    training = replace(quick, spec=replace(quick.spec, mode="train"), record_id="other")
    names = data_of(made([training, quick, slow]))["names"]
    assert [name.endswith("train") for name in names] == [False, False, True]


def test_what_is_alike_in_all_rows_is_told_once(record: Callable[..., Record]) -> None:
    text = made([record(), record("vgg16", latency_ms=30.0)])
    (told,) = re.findall("The same in all rows that have it: (.*)<", text)
    assert told.startswith("status ok; device Example GPU; engine eager; precision fp32;")
    assert "parameters 56.28 M" in told


def test_every_record_has_a_row_where_that_is_asked_for(record: Callable[..., Record]) -> None:
    records = [record(day=day) for day in range(1, 4)]
    text = made(records, is_whole=True)
    assert len(data_of(text)["names"]) == 3
    assert "<h3>Every record</h3>" in text
    folded = ("Its repeats share one row", "Folded records")
    assert [words in text for words in folded] == [False, False]
    assert [words in made(records) for words in folded] == [True, True]


def test_a_page_of_many_records_grows_by_what_tells_them_apart(
    record: Callable[..., Record],
) -> None:
    few, many = ([record(day=1 + n % 28) for n in range(count)] for count in (10, 300))
    assert len(made(many)) < len(made(few)) + 500
