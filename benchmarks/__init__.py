"""The measurements in docs/. From the project's root: `python -m benchmarks.NAME`."""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # fewer notes
