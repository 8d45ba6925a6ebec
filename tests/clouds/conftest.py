"""What the tests of components share: recorded deployments."""

import deployments
import pytest

from gpuwright.sandbox import Recording


@pytest.fixture(scope="session")
def dev() -> Recording:
    """A development deployment as a preview sees it."""
    return deployments.preview()


@pytest.fixture(scope="session")
def prod() -> Recording:
    """A public production deployment as a preview sees it."""
    return deployments.preview(deployments.PROD_SPEC, deployments.PROD_AWS)


@pytest.fixture(scope="session")
def deployed() -> Recording:
    """The development deployment with stand-ins for what only AWS knows."""
    return deployments.preview(preview=False)
