"""Shared test set-up: no screen, one BLAS thread, reproducible property tests."""

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
# before numpy is loaded: small matrices are fastest, and timings steadiest, on one thread
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

from hypothesis import HealthCheck, settings  # noqa: E402

settings.register_profile(
    "nnopt", derandomize=True, deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("nnopt")
