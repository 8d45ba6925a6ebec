"""From a plan to what a machine boots with: user data, and the time it may take to get ready."""

from gpuwright.boot.budget import lifecycle_heartbeat_seconds, ready_budget_seconds
from gpuwright.boot.cloud_config import USER_DATA_LIMIT_BYTES, user_data

__all__ = ["USER_DATA_LIMIT_BYTES", "lifecycle_heartbeat_seconds", "ready_budget_seconds", "user_data"]
