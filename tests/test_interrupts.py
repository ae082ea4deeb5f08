"""Ctrl-C ends a training after its step, and the report in one sentence."""

import contextlib
import signal
import threading
import time

import pytest

import edsr
import results
from core import interrupts
from helpers import TINY


def swallow():
    class Interrupted:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    Interrupted()
    for _ in range(1000):
        time.sleep(0.01)


def turn_into_another():
    with contextlib.suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    raise ValueError("Invalid bounding box")


@pytest.mark.parametrize("library", [swallow, turn_into_another])
def test_ctrl_c_ends_the_report_whatever_libraries_make_of_it(
    library, run_script, monkeypatch, ctrl_c
):
    monkeypatch.setattr(results, "compare", lambda *_: library())
    with pytest.raises(SystemExit, match="Stopped. What was saved is whole"):
        run_script(edsr, **{**TINY["edsr"], "EPOCHS": 0})


def test_first_ctrl_c_is_a_request_and_the_second_ends_the_script(ctrl_c, capfd):
    requested = threading.Event()
    with interrupts.after_this_step(requested):
        assert not requested.is_set()
        signal.raise_signal(signal.SIGINT)
        assert requested.is_set()
        assert "Stopping after this step" in capfd.readouterr().err
        with pytest.raises(SystemExit, match="Stopped. What was saved is whole"):
            signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_handlers_of_others_are_respected(ctrl_c):
    pressed = []
    signal.signal(signal.SIGINT, lambda *_: pressed.append(1))
    requested = threading.Event()
    with interrupts.after_this_step(requested):
        signal.raise_signal(signal.SIGINT)
    assert pressed == [1] and not requested.is_set()


def test_other_threads_set_no_handlers(ctrl_c):
    entered = []

    def enter():
        with interrupts.after_this_step(threading.Event()):
            entered.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert entered == [signal.default_int_handler]


def test_errors_without_ctrl_c_pass_through(ctrl_c):
    with pytest.raises(ValueError, match="an error"):
        with interrupts.at_once():
            raise ValueError("an error")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
