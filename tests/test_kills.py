"""Scripts as users run them, in processes of their own that are stopped in every way."""

import os
import random
import re
import resource
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import psutil
import pytest
from PIL import Image

from helpers import PROJECT, TINY, assert_same_state, edits, state_of, usual_ctrl_c

NAMES = ["edsr", "srgan", "mdsr"]


class Process:
    """A script as a user runs it, with other constants; perhaps with a limit to the size
    of its files."""

    def __init__(self, folder, dataset, name="edsr", file_limit=None, **constants):
        constants = {"DATASET": str(dataset), **TINY[name], **constants}
        folder.mkdir(exist_ok=True)
        limits = (file_limit or resource.RLIM_INFINITY, resource.RLIM_INFINITY)

        def prepare():
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            usual_ctrl_c()

        self.log = folder / "log.txt"
        self.process = subprocess.Popen(
            [sys.executable, "-u", PROJECT / f"{name}.py", *edits(constants)],
            cwd=folder,
            stdout=open(self.log, "w"),
            stderr=subprocess.STDOUT,
            preexec_fn=prepare,
        )
        self.results = folder / "results"

    def wait_for(self, something):
        """Waits for a file of the results, or for words in the log."""
        while not any(self.results.glob(something)):
            if something in self.log.read_text():
                return
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.02)

    def stop(self, number):
        self.process.send_signal(number)
        self.process.wait(timeout=120)
        return self.log.read_text()

    def finish(self, status=0):
        try:
            self.process.wait(timeout=600)
        finally:
            self.process.kill()  # in case it still runs
        assert self.process.returncode == status, self.log.read_text()
        return self.log.read_text()


def folders(results):
    """Name and path of each network's folder."""
    return {path.name: path for path in results.iterdir() if path.is_dir()}


def assert_same_results(results, others):
    """The same weights and averages, history and best networks, bit for bit."""
    ours, theirs = folders(results), folders(others)
    assert ours.keys() == theirs.keys()
    for name, folder in ours.items():
        other = theirs[name]
        assert_same_state(folder, other)
        files = [(f / "history.csv").read_text() for f in (folder, other)]
        assert files[0] == files[1]
        networks = sorted(path.name for path in folder.glob("*.keras"))
        assert networks == sorted(path.name for path in other.glob("*.keras"))
        for network in networks:
            a, b = (keras.saving.load_model(f / network) for f in (folder, other))
            for x, y in zip(a.get_weights(), b.get_weights(), strict=True):
                np.testing.assert_array_equal(x, y)


# --- Killed ---


def kill_at_random(process, rng):
    """Kills a script at a random moment: while it starts, or once an epoch has ended."""
    if rng.random() < 0.3:
        time.sleep(rng.uniform(0, 15))
        return process.stop(signal.SIGKILL)
    before = last_epochs(process.results)
    while process.process.poll() is None and last_epochs(process.results) == before:
        time.sleep(0.01)
    time.sleep(rng.uniform(0, 3))
    return process.stop(signal.SIGKILL)


def last_epochs(results):
    """When each network last ended an epoch."""
    return {path: path.stat().st_mtime_ns for path in results.glob("*/history.csv")}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_twenty_kills_change_nothing(name, tmp_path, smooth_pictures):
    constants = {"EPOCHS": 200}
    if name == "srgan":
        constants = {"EPOCHS": 12, "GAN_EPOCHS": 80}
    straight = Process(tmp_path / "straight", smooth_pictures, name, **constants)
    straight.finish()
    rng = random.Random(name)
    killed = {}
    for _ in range(20):
        process = Process(tmp_path / "killed", smooth_pictures, name, **constants)
        kill_at_random(process, rng)
        assert process.process.returncode == -signal.SIGKILL, "finished too soon"
        for network, folder in folders(process.results).items():
            if (folder / "state.npz").exists():
                killed.setdefault(network, []).append(state_of(folder)[1]["epoch"])
    print(f"{name}: epochs finished at each kill: {killed}")
    assert killed.keys() == folders(straight.results).keys()
    Process(tmp_path / "killed", smooth_pictures, name, **constants).finish()
    assert_same_results(straight.results, tmp_path / "killed/results")
    assert not list((tmp_path / "killed/results").rglob("*.part.*"))


@pytest.mark.slow
def test_killed_run_resumes_to_the_very_same_weights(tmp_path, smooth_pictures):
    constants = {"EPOCHS": 4, "STEPS_PER_EPOCH": 20}
    straight = Process(tmp_path / "straight", smooth_pictures, **constants)
    straight.finish()
    killed = Process(tmp_path / "killed", smooth_pictures, **constants)
    killed.wait_for("*/preview/epoch_0002.png")
    killed.stop(signal.SIGKILL)
    folder = killed.results / "edsr_x2_pictures"
    assert 1 <= state_of(folder)[1]["epoch"] < 4
    (folder / ".model.1.part.keras").write_text("what a kill may leave")
    again = Process(tmp_path / "killed", smooth_pictures, **constants)
    assert "Resuming" in again.finish()
    assert_same_results(straight.results, again.results)
    assert not list(folder.rglob(".*"))


# --- Interrupted ---


@pytest.mark.slow  # a second Ctrl-C, below, needs the first
@pytest.mark.parametrize("epoch", [0, 2])
def test_ctrl_c_still_leaves_model_table_and_pictures(tmp_path, smooth_pictures, epoch):
    steps = 20 if epoch else 10**5
    run = Process(tmp_path / "run", smooth_pictures, EPOCHS=500, STEPS_PER_EPOCH=steps)
    run.wait_for(f"*/preview/epoch_{epoch:04}.png" if epoch else "*/samples.png")
    if not epoch:
        time.sleep(4)  # into the first epoch
    out = run.stop(signal.SIGINT)
    assert run.process.returncode == 0, out
    assert "Interrupted after" in out and "PSNR Y" in out
    folder = run.results / "edsr_x2_pictures"
    for name in ("model.keras", "scores.csv", "comparison.png"):
        assert (folder / name).exists()
    finished = state_of(folder)[1]["epoch"]
    assert finished == 0 if epoch == 0 else finished >= 1


@pytest.mark.slow
def test_ctrl_c_twice_stops_at_once_and_a_second_run_is_refused(
    tmp_path, smooth_pictures
):
    for path in (smooth_pictures / "test").iterdir():  # whose report takes a while
        Image.open(path).resize((1200, 1000)).save(path)
    constants = {"EPOCHS": 500, "STEPS_PER_EPOCH": 20}
    first = Process(tmp_path / "run", smooth_pictures, **constants)
    first.wait_for("*/preview/epoch_0001.png")
    (tmp_path / "second").mkdir()
    (tmp_path / "second/results").symlink_to(first.results)
    second = Process(tmp_path / "second", smooth_pictures, **constants)
    assert "Another process is training in results/edsr" in second.finish(1)
    first.process.send_signal(signal.SIGINT)
    first.wait_for("Scoring")
    first.process.send_signal(signal.SIGINT)
    out = first.finish(1)
    assert "Interrupted after" in out and "Traceback" not in out
    assert out.splitlines()[-1].startswith("Stopped. What was saved is whole")
    folder = first.results / "edsr_x2_pictures"
    assert state_of(folder)[1]["epoch"] >= 1
    keras.saving.load_model(folder / "model.keras")
    assert not list(folder.rglob(".*"))


# --- No room ---


@pytest.mark.slow
@pytest.mark.parametrize(
    "file, limit",
    [("state.npz", 600_000), ("model.keras", 300_000), ("samples.png", 10_000)],
)
def test_full_disk_is_named_and_costs_nothing(file, limit, tmp_path, smooth_pictures):
    """A limit to the size of files stands for the disk: the system refuses to write."""
    constants = {"FILTERS": 24, "BLOCKS": 6, "EPOCHS": 1, "PATCH_SIZE": 8}
    constants["LEARNING_RATE"] = 1e-4  # each epoch is better, and its network written
    for name in ("straight", "full"):
        run = Process(tmp_path / name, smooth_pictures, **constants)
        run.finish()
    constants["EPOCHS"] = 3
    run = Process(tmp_path / "full", smooth_pictures, file_limit=limit, **constants)
    out = run.finish(1)
    assert "Traceback" not in out
    assert re.match(
        rf"edsr.py: results/edsr.*{file} cannot be written: File too large",
        out.splitlines()[-1],
    )
    folder = run.results / "edsr_x2_pictures"
    assert state_of(folder)[1]["epoch"] == 1
    keras.saving.load_model(folder / "model.keras")
    assert not list(folder.rglob(".*"))
    for name in ("straight", "full"):
        Process(tmp_path / name, smooth_pictures, **constants).finish()
    assert_same_results(tmp_path / "straight/results", run.results)


# --- For long ---


@pytest.mark.soak
def test_long_training_leaks_nothing(tmp_path, smooth_pictures):
    """An hour, or as many minutes as SR_SOAK_MINUTES says."""
    minutes = float(os.environ.get("SR_SOAK_MINUTES", 60))
    constants = {"FILTERS": 32, "BLOCKS": 8, "LEARNING_RATE": 1e-4}
    constants |= {"EPOCHS": 10**6, "STEPS_PER_EPOCH": 50}
    run = Process(tmp_path / "run", smooth_pictures, **constants)
    run.wait_for("*/preview/epoch_0003.png")
    process = psutil.Process(run.process.pid)
    samples, start = [], time.time()
    while (now := time.time() - start) < 60 * minutes:
        memory = process.memory_info().rss
        samples.append((now, memory, process.num_fds(), process.num_threads()))
        time.sleep(1)
        assert run.process.poll() is None, run.log.read_text()
    run.stop(signal.SIGKILL)
    seconds, memory, files, threads = np.array(samples)[len(samples) // 4 :].T
    slope = np.polyfit(seconds / 3600, memory / 1e6, 1)[0]
    # Each epoch opens files and starts threads, which end with it: on average they stay.
    halves = [np.array_split(counts, 2) for counts in (files, threads)]
    (f1, f2), (t1, t2) = ([half.mean() for half in pair] for pair in halves)
    epochs = state_of(run.results / "edsr_x2_pictures")[1]["epoch"]
    print(
        f"{minutes:g} minutes, {epochs} epochs of 50 steps: {memory[-1] / 1e6:.0f} MB, "
        f"{slope:+.1f} MB an hour; in the first and in the second half {f1:.2f} and "
        f"{f2:.2f} files open, {t1:.2f} and {t2:.2f} threads"
    )
    assert abs(slope) < 20
    assert abs(f2 - f1) < 0.5 and abs(t2 - t1) < 0.5
