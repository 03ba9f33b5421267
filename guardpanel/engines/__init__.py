"""The only code that touches processes, sockets and release files."""

from guardpanel.engines.deployer import Deployer
from guardpanel.engines.differences import Drift, Place
from guardpanel.engines.drift import Expected
from guardpanel.engines.haproxy.haproxy import DROPS_TRAILERS, HAProxy
from guardpanel.engines.haproxy.server_states import Servers, ServerStatus
from guardpanel.engines.haproxy.status import HAProxyStatus
from guardpanel.engines.protocol import Engines, EnginesStatus
from guardpanel.engines.waf.agent import AgentStatus, RunningApplication
from guardpanel.engines.waf.rule_set import Link, Rule, RuleRole, RuleSet

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
