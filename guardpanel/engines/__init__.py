"""The only code that touches processes, sockets and release files."""

from guardpanel.engines.agent import AgentStatus, RunningApplication
from guardpanel.engines.deployer import Engines, EnginesStatus
from guardpanel.engines.status import HAProxyStatus, ServerStatus

__all__ = ["AgentStatus", "Engines", "EnginesStatus", "HAProxyStatus", "RunningApplication", "ServerStatus"]
