import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from medaug_keras import cli, engine, gpus
from medaug_keras.gpus import Gpu
from studies import tiny, written

FAKE_TORCH = """
import os
class cuda:
    def device_count():
        chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
        return 3 if chosen is None else len([part for part in chosen.split(",") if part])
    def get_device_name(number):
        return "Some GPU"
"""


@pytest.fixture
def three_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A driver's file, and a Torch that knows three GPUs, for the process that is asked."""
    (tmp_path / "torch.py").write_text(FAKE_TORCH)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(gpus, "DRIVERS", (str(tmp_path / "torch.py"),))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_every_gpu_is_found_with_the_word_that_chooses_it(three_gpus):
    assert gpus.found() == [Gpu(number, "Some GPU") for number in ("0", "1", "2")]


@pytest.mark.parametrize(("chosen", "visible"), [("2", ["2"]), ("1, 0", ["1", "0"]), ("", [])])
def test_the_users_choice_of_gpus_is_kept(three_gpus, monkeypatch, chosen, visible):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    assert [gpu.visible for gpu in gpus.found()] == visible


def test_without_a_driver_nobody_is_asked(monkeypatch):
    monkeypatch.setattr(gpus, "DRIVERS", ("/no/such/driver",))
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert gpus.found() == []


def test_a_torch_that_does_not_import_has_no_gpu(three_gpus, tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('broken')")
    assert gpus.found() == []


def test_one_line_says_what_is_used():
    assert gpus.said([Gpu("0", "H200")], 1) == "Uses the GPU (H200), 1 worker"
    assert gpus.said([Gpu("0", "H200"), Gpu("1", "H200")], 4) == "Uses 2 GPUs (H200), 4 workers"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="a process may use every core here")
def test_a_run_has_a_worker_for_each_core_that_it_may_use():
    words = "from medaug_keras.cli import options; print(options.parser().parse_args(['plan', 'a.yaml']).workers)"
    one = min(os.sched_getaffinity(0))
    asked = subprocess.run(
        [sys.executable, "-c", words],
        capture_output=True,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {one}),
    )
    assert asked.stdout == "1\n", asked.stderr


@pytest.mark.parametrize(
    ("cpuinfo", "slow"),
    [
        ("processor : 0\nflags\t\t: fpu avx2 avx512f\n", True),
        ("processor : 0\nflags\t\t: fpu avx512f avx512_bf16\n", False),
        ("processor : 0\nflags\t\t: fpu avx512f amx_bf16 amx_tile\n", False),
        ("processor : 0\nFeatures\t: fp asimd bf16\n", False),
        ("processor : 0\nFeatures\t: fp asimd\n", True),
        ("processor : 0\nmodel name : not told\n", False),
        (None, False),
    ],
)
def test_bfloat16_is_called_slow_only_where_the_cpu_is_known_to_lack_it(tmp_path, monkeypatch, capsys, cpuinfo, slow):
    monkeypatch.setattr(gpus, "CPU", tmp_path / "cpuinfo")
    monkeypatch.setattr(gpus, "DRIVERS", ())
    if cpuinfo is not None:
        gpus.CPU.write_text(cpuinfo)
    assert gpus.bfloat16_is_slow() == slow
    file = written(tmp_path, tiny(precision="bfloat16"))
    assert cli.main(["check", str(file), "--results", str(tmp_path / "results")]) == 0
    assert ("bfloat16 is slower than float32 on this machine" in capsys.readouterr().err) == slow
    written(tmp_path, tiny())
    assert cli.main(["check", str(file), "--results", str(tmp_path / "results")]) == 0
    assert "slower" not in capsys.readouterr().err
    monkeypatch.setattr(gpus, "DRIVERS", (str(tmp_path),))
    assert not gpus.bfloat16_is_slow(), "with a GPU, its CPU does not matter"


def environment(process: int | None) -> bytes:
    """Of a process that was just started: until the system has loaded its program, it has none."""
    patience = time.monotonic() + 60
    while not (found := Path(f"/proc/{process}/environ").read_bytes()) and time.monotonic() < patience:
        time.sleep(0.01)
    return found


def test_workers_are_dealt_out_to_the_gpus_and_each_sees_its_own(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,3")
    workers = [engine.Worker(gpu) for gpu in ("5", "3", None)]
    seen = [environment(worker.process.pid).split(b"\0") for worker in workers]
    for worker in workers:
        worker.end()
    chosen = [[v for v in variables if v.startswith(b"CUDA_VISIBLE_DEVICES=")] for variables in seen]
    assert chosen == [[b"CUDA_VISIBLE_DEVICES=" + own] for own in (b"5", b"3", b"5,3")]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "5,3"
