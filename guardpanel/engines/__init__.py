"""The only code that touches processes, sockets and release files."""

from guardpanel.engines.agent import AgentStatus, RunningApplication
from guardpanel.engines.deployer import Deployer
from guardpanel.engines.differences import Drift, Place
from guardpanel.engines.drift import Expected
from guardpanel.engines.haproxy import DROPS_TRAILERS, HAProxy
from guardpanel.engines.protocol import Engines, EnginesStatus
from guardpanel.engines.rule_set import Link, Rule, RuleRole, RuleSet
from guardpanel.engines.servers import Servers, ServerStatus
from guardpanel.engines.status import HAProxyStatus

__all__ = [
    "DROPS_TRAILERS",
    "AgentStatus",
    "Deployer",
    "Drift",
    "Engines",
    "EnginesStatus",
    "Expected",
    "HAProxy",
    "HAProxyStatus",
    "Link",
    "Place",
    "Rule",
    "RuleRole",
    "RuleSet",
    "RunningApplication",
    "ServerStatus",
    "Servers",
]
