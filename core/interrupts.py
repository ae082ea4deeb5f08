"""Ctrl-C: ends a training after its step, and the report in one sentence."""

import _thread
import contextlib
import os
import signal
import sys
import threading

STOPPED = "\nStopped. What was saved is whole; run the same command for the report."


@contextlib.contextmanager
def at_ctrl_c(handler):
    """Sets a handler for Ctrl-C, unless someone else has set one."""
    usual = signal.default_int_handler
    # Respect a handler that someone else set; and other threads may set none.
    ours = signal.getsignal(signal.SIGINT) is usual
    ours = ours and threading.current_thread() is threading.main_thread()
    if ours:
        signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGINT, usual)


@contextlib.contextmanager
def after_this_step(requested):
    """Takes Ctrl-C as the request to stop after this step; a second one ends the script.

    An exception raised in the handler might be swallowed by a destructor that happens to
    run, as TensorFlow has many. So the training looks at the request after each step.

    Args:
        requested: `threading.Event`, set at Ctrl-C.
    """

    def interrupt(*_):
        if requested.is_set():
            sys.exit(STOPPED)
        requested.set()
        os.write(2, b"\nStopping after this step.\n")  # print is not for handlers

    with at_ctrl_c(interrupt):
        yield


@contextlib.contextmanager
def at_once():
    """Lets Ctrl-C end the script in one sentence, whatever library it meets."""
    pressed = False

    def interrupt(*_):
        nonlocal pressed
        pressed = True  # compiled code may turn the exception into another one
        raise KeyboardInterrupt

    def press_again(unraisable):
        # A destructor swallows what is raised in it, so again when it has ended.
        if unraisable.exc_type is KeyboardInterrupt:
            threading.Timer(0.01, _thread.interrupt_main).start()
        else:
            usual(unraisable)

    usual, sys.unraisablehook = sys.unraisablehook, press_again
    try:
        with at_ctrl_c(interrupt):
            yield
    except BaseException as error:
        if pressed or isinstance(error, KeyboardInterrupt):
            sys.exit(STOPPED)
        raise
    finally:
        sys.unraisablehook = usual
