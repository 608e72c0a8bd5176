"""The words between kernel and parent, through real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from in_process import run
from kernel_process import KERNEL, Kernel, of_type
from make_jobs import scratch, write_dataset, write_job


def test_says_hello_before_it_imports_torch() -> None:
    kernel = Kernel()
    hello = kernel.read()
    assert hello is not None
    assert hello["type"] == "hello"
    assert hello["protocol"] == 1
    assert "torch" in hello["libraries"]
    loaded = Path(f"/proc/{kernel.process.pid}/maps").read_text()
    assert "libtorch" not in loaded
    kernel.close()
    # Its parent hung up before there was a job: it must not stay.
    assert kernel.process.returncode == 3


def test_torchrun_ends_when_who_started_it_was_gone_before_it_began() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    # Nobody has asked how it ended yet: it is a zombie when torchrun looks.
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    environment = {**os.environ, "PYTHONPATH": str(KERNEL), "SLIPWAY_STARTED_BY": str(ended.pid)}
    begun = [sys.executable, "-m", "slipway_kernel.spread"]
    assert subprocess.run(begun, env=environment, timeout=60).returncode == 3
    ended.wait()
    assert subprocess.run(begun, env=environment, timeout=60).returncode == 3


@pytest.mark.parametrize(
    ("job", "says"),
    [
        ({"operation": "bake"}, "there is no operation 'bake'"),
        ({"operation": "evaluate", "model": 3, "data": "x"}, "job.model must be str, not '3'"),
        ({"operation": "evaluate", "model": "/nowhere"}, "missing 1 required positional argument: 'data'"),
    ],
)
def test_refuses_a_job_that_makes_no_sense(tmp_path: Path, job: dict[str, object], says: str) -> None:
    path = tmp_path / "job.json"
    path.write_text(json.dumps(job))
    kernel = Kernel()
    last = kernel.run(path)[-1]
    assert last["type"] == "failed"
    assert last["class"] == "user_input"
    assert says in last["message"]
    assert kernel.process.returncode == 1


def test_prints_of_libraries_never_reach_the_parent_as_messages() -> None:
    program = (
        "import os, sys\n"
        "from slipway_kernel.protocol import Channel\n"
        "channel = Channel(speaks=True)\n"
        "print('noise'); os.write(1, b'more noise\\n'); sys.stdout.flush()\n"
        "channel.send('log', level='info', message='said', value=float('nan'))\n"
    )
    done = run_with_parent(program)
    assert json.loads(done.stdout) == {"type": "log", "level": "info", "message": "said", "value": None}
    assert "noise" in done.stderr


def run_with_parent(program: str) -> subprocess.CompletedProcess[str]:
    """Runs it with a stdin that stays open, as a living parent's does."""
    theirs, ours = os.pipe()
    try:
        return subprocess.run([sys.executable, "-c", program], cwd=KERNEL, capture_output=True, text=True, check=True, stdin=theirs)
    finally:
        os.close(ours)
        os.close(theirs)


def test_dies_with_its_parent(tmp_path: Path) -> None:
    job = write_job(tmp_path / "run", scratch("char-lstm"), write_dataset(tmp_path / "data", "stream"), max_steps=1_000_000)
    # A parent in between, whose death is seen by the kernel only through the system: its pipes stay open in this process.
    program = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-m', 'slipway_kernel'], cwd={str(KERNEL)!r}, stdin=0, stdout=1)\n"
        "print(child.pid, file=sys.stderr, flush=True)\n"
        "time.sleep(600)\n"
    )
    pipe = subprocess.PIPE
    parent = subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe, stderr=pipe)
    assert parent.stdin is not None
    assert parent.stdout is not None
    assert parent.stderr is not None
    child = int(parent.stderr.readline())
    parent.stdin.write(json.dumps({"type": "job", "path": str(job)}).encode() + b"\n")
    parent.stdin.flush()
    while json.loads(parent.stdout.readline())["type"] != "progress":
        pass
    assert Path(f"/proc/{child}/oom_score_adj").read_text().strip() == "900"
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_until_gone(child)


def wait_until_gone(pid: int) -> None:
    for _ in range(1200):
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return
        except (ProcessLookupError, FileNotFoundError):
            return
        time.sleep(0.1)
    raise AssertionError(f"process {pid} still runs")


def test_pauses_with_a_checkpoint_and_goes_on_from_it(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", "stream")
    _, unbroken = run(write_job(tmp_path / "unbroken", scratch("char-lstm"), data))

    kernel = Kernel()
    job = write_job(tmp_path / "run", scratch("char-lstm"), data)
    paused = kernel.run(job, lambda message: kernel.send({"type": "pause"}) if message["type"] == "started" else None)
    assert kernel.process.returncode == 0
    assert paused[-1]["type"] == "stopped"
    assert paused[-1]["reason"] == "paused"
    assert paused[-1]["step"] < 12

    resumed = Kernel().run(write_job(tmp_path / "run", scratch("char-lstm"), data, resume=paused[-1]["checkpoint"]))
    assert of_type(resumed, "started")[0]["resumed_from"] == paused[-1]["step"]
    curve = [(message["step"], message["loss"]) for message in of_type(paused, "progress") + of_type(resumed, "progress")]
    assert curve == unbroken.curve
    assert [message["type"] for message in resumed].count("done") == 1


def test_cancels_between_steps(tmp_path: Path) -> None:
    kernel = Kernel()
    job = write_job(tmp_path / "run", scratch("char-lstm"), write_dataset(tmp_path / "data", "stream"), max_steps=1_000_000)
    messages = kernel.run(job, lambda message: kernel.send({"type": "cancel"}) if message["type"] == "progress" else None)
    assert messages[-1]["type"] == "stopped"
    assert messages[-1]["reason"] == "cancelled"
    assert not (tmp_path / "run" / "model").exists()


def test_a_heartbeat_comes_while_torch_is_imported() -> None:
    program = (
        "import slipway_kernel.protocol as protocol, time\n"
        "protocol.HEARTBEAT_SECONDS = 0.05\n"
        "channel = protocol.Channel(speaks=True)\n"
        "import torch\n"
        "channel.log('info', 'imported')\n"
    )
    done = run_with_parent(program)
    kinds = [json.loads(line)["type"] for line in done.stdout.splitlines()]
    assert kinds.index("heartbeat") < kinds.index("log")
