"""`archbench list`, help and version from outside; which modules light commands load."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from archbench import __version__
from archbench.cli.main import run
from archbench.reasons import Reason, Status
from archbench.records import Cause, Record, Store
from archbench.settings import Settings
from archbench.zoo import catalogue


def test_list_shows_every_network_with_its_input(capsys):
    assert run(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for kind in ("backbone", "detector"):
        for entry in catalogue.entries(kind):
            row = next(line.split() for line in lines if line.split()[:1] == [entry.name])
            assert row[1] == entry.input


def test_networks_fit_80_columns(capsys):
    run(["list", "backbones"])
    run(["list", "detectors"])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_networks_of_one_remark_share_it(capsys):
    assert run(["list", "detectors"]) == 0
    notes = capsys.readouterr().out.partition("\n\n")[2].replace("\n", " ")
    assert "cem, efm, efm-sam, prn-3l: approximate: fitted to CSPNet's Table 2" in notes


def test_what_is_said_of_a_detector_on_one_family_is_told(capsys):
    """A past bug: only remarks that hold on every backbone were."""
    assert run(["list", "detectors"]) == 0
    notes = capsys.readouterr().out.partition("\n\n")[2].replace("\n", " ")
    assert "dsod on vovnet: inferred: VoVNet does not say which maps it reads" in notes
    assert "lrf on resnet: approximate: no public code on ResNets" in notes
    assert "dsod-plain on vovnet" not in notes  # Another name for dsod.
    assert run(["list", "detectors", "--json"]) == 0
    on = {row["name"]: row["on"] for row in json.loads(capsys.readouterr().out)["detectors"]}
    assert on["retinanet"] == {
        "resnet": {
            "note": "published with the stride on the first 1x1 (-v1)",
            "approximate": None,
        }
    }
    assert on["lrf"]["resnet"]["approximate"].startswith("no public code on ResNets")
    assert on["refinedet"] == {}


def test_list_as_json(capsys):
    assert run(["list", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    by_name = {row["name"]: row for row in data["backbones"]}
    assert by_name["resnet50-v1"]["preset"] == {"stride_on": "1x1"}
    assert by_name["vovnet39"]["options"]["stem"]["values"] == ["conv", "pool"]
    assert [row["name"] for row in data["detectors"]] == [
        entry.name for entry in catalogue.entries("detector")
    ]


def test_list_options_names_their_values_and_who_takes_them(capsys):
    assert run(["list", "options"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert re.search(
        r"output_stride +stages past this stride .*\n"
        r"  32 16 8 +attention_resnet, dsnet, resnet, rgsnet\n",
        out,
    )


def test_list_options_tells_the_defaults_of_numbers(capsys):
    """A past bug: 300 proposals and 1000 shared a row that told of neither."""
    assert run(["list", "options", "--markdown"]) == 0
    out = capsys.readouterr().out
    for taker, count in (("faster_rcnn", 300), ("mask_rcnn", 1000)):
        assert re.search(rf"\| {taker} \| proposals \| int, {count} by default \|", out)
    assert "| width | float, 1.0 by default |" in out


def test_list_options_has_a_column_for_each_in_markdown(capsys):
    assert run(["list", "options", "--markdown"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("| taken by | option | values | meaning |")
    assert "| output_stride | 32 16 8 | stages past this stride" in out


def test_list_engines_tells_precisions_settings_and_what_installs_what_is_missing(
    capsys, monkeypatch
):
    monkeypatch.setattr(
        "archbench.engines.engine._version", {"torch": "2.9.0", "openvino": "2020.1"}.get
    )
    assert run(["list", "engines"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "eager fp32, fp16, bf16 fp32, tf32, fp16, bf16 torch 2.9.0" in out
    assert "openvino fp32, fp16, bf16, int8 - no (openvino 2020.1)" in out
    assert "openvino 2020.1 is too old" in out
    assert "onnxruntime is not installed: pip install 'archbench[onnxruntime]'" in out
    assert "--memory-format, --cudnn-benchmark, --fold-bn, --deterministic (eager and" in out


def test_list_engines_tells_what_an_engine_could_not_hold(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    spec = catalogue.resolve("resnet18").spec
    held_not = Record(
        spec,
        Settings(engine="openvino"),
        Status.ERROR,
        Cause(Reason.UNSUPPORTED, "prepare", "OpenVINO has no Foo"),
    )
    store = Store(Path("results"))
    store.prepare()
    store.append(held_not)
    assert run(["list", "engines", "--json"]) == 0
    engines = {engine["name"]: engine for engine in json.loads(capsys.readouterr().out)}
    assert engines["openvino"]["unsupported"] == [
        {"network": str(spec), "message": "OpenVINO has no Foo"}
    ]
    assert engines["eager"]["unsupported"] == []
    run(["list", "engines"])
    assert "could not run" in capsys.readouterr().out
    later = "2999-01-01T00:00:00+00:00"
    store.append(Record(spec, Settings(engine="openvino"), Status.OK, time_utc=later))
    run(["list", "engines"])
    assert "could not run" not in capsys.readouterr().out


def test_an_unknown_list_is_one_line(capsys):
    assert run(["list", "everything"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_version_and_help(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"archbench {__version__}\n"
    assert run([]) == 0
    assert "profile" in capsys.readouterr().out


def test_an_unknown_command_is_one_line(capsys):
    assert run(["profil"]) == 2
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["list"],
        ["list", "--json"],
        ["list", "suites"],
        ["list", "engines"],
        ["profile", "--help"],
        ["compare", "--csv"],
    ],
)
def test_light_commands_load_no_torch(arguments, tmp_path):
    script = (
        "import sys; from archbench.cli.main import run; code = run(sys.argv[1:]); heavy = "
        "{'torch', 'matplotlib'} & set(sys.modules);"
        "print(code, sorted(heavy), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, cwd=tmp_path
    )
    code = 2 if "compare" in arguments else 0  # There are no records.
    assert done.stderr.splitlines()[-1] == f"{code} []", done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("asked", ["list", "--version"], ids=["more than a buffer", "less"])
def test_a_full_disk_is_one_line_and_exit_1(tmp_path, asked):
    code = "from archbench.cli.main import main; main()"
    command = f"env -u PYTHONUNBUFFERED {sys.executable} -c '{code}' {asked} > /dev/full"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: No space left")


def test_a_reader_that_stops_early_is_no_error(tmp_path):
    code = "from archbench.cli.main import main; main()"
    command = f"{sys.executable} -c '{code}' list | head -n 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_published_pairs_fit_80_columns_and_say_whether_they_build(capsys):
    assert run(["list", "pairs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "vovnet39                  refinedet          vovnet 4 6 7          builds" in lines
    assert run(["list", "pairs", "--json"]) == 0
    pairs = json.loads(capsys.readouterr().out)
    assert {pair["status"] for pair in pairs} <= {"builds", "approximate", "published", "not built"}


def test_the_suites_fit_80_columns_and_say_how_much_of_them_builds(capsys):
    assert run(["list", "suites"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert any(
        re.fullmatch(r"huang/grid +extractors x meta-architectures x inputs +175 +175", line)
        for line in lines
    )
    assert run(["list", "suites", "--json"]) == 0
    suites = {suite["name"]: suite for suite in json.loads(capsys.readouterr().out)}
    first = suites["dsnet/table9"]["members"][0]
    assert first["label"] == "ResNet50"
    assert first["command"].endswith("--batch 32 --train")
    assert suites["dsod/prose"]["builds"] == suites["dsod/prose"]["of"] - 1


def test_the_pairs_have_their_costs_in_the_order_of_their_names(capsys):
    assert run(["list", "pairs", "--costs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    cells = {line.split()[0]: line.split()[1:] for line in lines if "refinedet320 " in line}
    assert cells["vovnet39"] == ["+", "refinedet320", "56.28", "32.626", "122.08", "33.5", "-"]
    names = [line.split()[0] for line in lines if line and line[0] != " "]
    assert names.index("vovnet27-slim") < names.index("vovnet39") < names.index("vovnet57")


def test_the_costs_of_pairs_as_json_are_in_base_units(capsys):
    assert run(["list", "pairs", "--costs", "--json"]) == 0
    pairs = json.loads(capsys.readouterr().out)
    (vovnet,) = [pair for pair in pairs if pair["network"] == "vovnet39 + refinedet320"]
    assert (vovnet["params"], vovnet["macs"]) == (56283844, 32626201600)
    assert vovnet["accuracies"] == [
        {"dataset": "coco-test-dev", "metric": "ap", "value": 33.5, "source": "vovnet/table4"}
    ]
    assert all(pair["params"] and pair["detector"] for pair in pairs)


@pytest.mark.parametrize("what", ["backbones", "timm:"])
def test_costs_are_of_pairs_alone(capsys, what):
    assert run(["list", what, "--costs"]) == 2
    assert "only pairs are listed with costs" in capsys.readouterr().err
