"""The line that HAProxy logs for each request."""

CHECKSUM = "\x04"
"Placeholder in LINE for the checksum of the configuration that decided."

LINE = (
    "{"
    + ",".join(
        f'"{name}":{value}'
        for name, value in {
            "time": "%Ts.%ms",
            "id": '"%ID"',
            "client": '"%ci"',
            "client_port": "%cp",
            "peer": '"%[var(txn.gp.peer)]"',
            "scheme": '"%[var(txn.gp.scheme)]"',
            "forwarded": '"%[var(txn.gp.forwarded),json(utf8s)]"',
            "proxied": '"%[var(txn.gp.proxied)]"',
            "host": '"%[var(txn.gp.host),bytes(0,255),json(utf8s)]"',
            "virtual_host": '"%[var(txn.gp.vhost)]"',
            "method": '"%HM"',
            "protocol": '"%HV"',
            "path": '"%[capture.req.uri,json(utf8s)]"',
            "status": "%ST",
            "bytes": "%B",
            "milliseconds": "%Ta",
            "server": '"%s"',
            "server_milliseconds": "%Tr",
            "ended": '"%tsc"',
            "verdict": '"%[var(txn.gp.verdict)]"',
            "list": '"%[var(txn.gp.deny)]"',
            "limit": '"%[var(txn.gp.limited)]"',
            "limit_key": '"%[var(txn.gp.limit_key)]"',
            "strikes": '"%[var(txn.gp.strikes)]"',
            "country": '"%[var(txn.gp.country)]"',
            "network": '"%[var(txn.gp.asn)]"',
            "user": '"%[var(txn.gp.user),json(utf8s)]"',
            "client_certificate": '"%[var(txn.gp.subject),json(utf8s)]"',
            "application": '"%[var(txn.gp.app)]"',
            "policy": '"%[var(txn.gp.policy)]"',
            "checksum": f'"{CHECKSUM}"',
            "partial": '"%[var(txn.gp.partly)]"',
            "over_limit": '"%[var(txn.gp.over_limit)]"',
            "fail": '"%[var(txn.gp.fail)]"',
            "action": '"%[var(txn.coraza.action)]"',
            "rule": '"%[var(txn.coraza.ruleid)]"',
            "score": '"%[var(txn.coraza.anomaly_score)]"',
            "rules": '"%[var(txn.coraza.rule_ids)]"',
            "waf_error": '"%[var(txn.coraza.error)]"',
            "waf_milliseconds": '"%[var(txn.coraza.ptime)]"',
            "panel": '"%[var(txn.gp.quiet)]"',
        }.items()
    )
    + "}"
)
"One JSON object per request: the ingest's source for HAProxy's own verdicts (ingest/proxy_line.py)."


def access_log(checksum: str) -> str:
    """The log format of a configuration with this checksum."""
    return LINE.replace(CHECKSUM, checksum)
