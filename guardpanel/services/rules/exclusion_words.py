"""What a rule exclusion does, in one sentence, and what it costs."""

from guardpanel.models.policies.path_condition import PathMatch
from guardpanel.models.rules.rule_choices import ids
from guardpanel.models.rules.rule_exclusion import RuleExclusionColumns, Target

FIELDS = {
    Target.ARGUMENT: ("the argument", "arguments"),
    Target.JSON: ("the JSON value", "JSON values and other arguments"),
    Target.ARGUMENT_NAME: ("the name of the argument", "names of arguments"),
    Target.COOKIE: ("the cookie", "cookies"),
    Target.COOKIE_NAME: ("the name of the cookie", "names of cookies"),
    Target.HEADER: ("the header", "headers"),
    Target.HEADER_NAME: ("the name of the header", "names of headers"),
    Target.FILE: ("", "names of uploaded files"),
    Target.PART: ("the headers of the part", "headers of parts"),
    Target.XML: ("", "XML bodies"),
    Target.PATH: ("", "the path"),
    Target.URL: ("", "the URL"),
    Target.BODY: ("", "the raw body"),
}
"Singular with a name, and plural."

UNPARSABLE = "200009"
"Coraza's rule for a URL that it cannot parse."


def reach(fields: RuleExclusionColumns, virtual_host: str = "") -> str:
    """`Rules 941100 and 941160 don’t inspect the argument “content” in POST requests to /wp-json/posts. …`"""
    rules, does = _rules(fields.rules), f"don’t inspect {kind(fields)} in"
    if fields.target is Target.REQUEST:
        does = "don’t run for"
    if len(fields.rules) == 1 and (numbers := ids(fields.rules[0])) and len(numbers) == 1:
        does = does.replace("don’t", "doesn’t", 1)
    where = f" on {virtual_host}" if virtual_host else ""
    return f"{rules} {does} {_requests(fields)}{where}. Everything else is inspected as before."


def prices(fields: RuleExclusionColumns) -> list[str]:
    """What else is lost if it is broader than it may need to be."""
    warnings = []
    if any(ids(choice) is None or len(ids(choice) or ()) > 1 for choice in fields.rules):
        warnings.append("Whole families let more attacks in such fields pass than single rules do.")
    if fields.target is Target.REQUEST:
        warnings.append("These rules miss attacks in every field of these requests.")
    elif fields.target.has_names and not fields.target_name:
        warnings.append("Without a name, this holds for every field of its kind.")
    if fields.target is Target.JSON and fields.target_name and not fields.name_is_pattern:
        name = fields.target_name.removeprefix("json.").replace("*", "0")
        warnings.append(f"A form field named json.{name} is excluded, too.")
    if fields.virtual_host_id:
        warnings.append("The WAF agent loads a rule set of its own for this virtual host, which takes memory.")
    if UNPARSABLE in fields.rules:
        warnings.append("Paths with a broken escape, such as /100%, are inspected as they were sent, without decoding.")
    if fields.path_match is PathMatch.ANY:
        warnings.append("This holds on every path.")
    return warnings


def _rules(choices: list[str]) -> str:
    numbers = [choice for choice in choices if ids(choice) is not None]
    tags = [choice for choice in choices if ids(choice) is None]
    is_single = len(numbers) == 1 and "-" not in numbers[0]
    words = [f"{'Rule' if is_single else 'Rules'} {listed(numbers)}"] if numbers else []
    words += [f"{'all rules' if words else 'All rules'} tagged {listed(tags)}"] if tags else []
    return " and ".join(words)


def kind(fields: RuleExclusionColumns) -> str:
    """What is excluded: `the argument “content”`, `XML bodies`."""
    single, every = FIELDS.get(fields.target, ("", ""))
    if not fields.target_name:
        return (
            f"any {every.removesuffix('s')}"
            if fields.target in {Target.ARGUMENT, Target.COOKIE, Target.HEADER}
            else every
        )
    return (
        f"{every} whose name matches “{fields.target_name}”"
        if fields.name_is_pattern
        else f"{single} “{fields.target_name}”"
    )


def _requests(fields: RuleExclusionColumns) -> str:
    conditions = [
        f"{name} is “{value}”" for name, _, value in (condition.partition("=") for condition in fields.only_if)
    ]
    return requests_to(fields.path_match, fields.path, fields.methods) + (
        f", if {listed(conditions)}" if conditions else ""
    )


def requests_to(path_match: PathMatch, path: str, methods: list[str]) -> str:
    """`POST requests to /wp-json/posts`"""
    requests = f"{listed(methods, 'or')} requests" if methods else "requests"
    paths = {
        PathMatch.ANY: f"all {requests}",
        PathMatch.EXACT: f"{requests} to {path}",
        PathMatch.BELOW: f"{requests} to {path} and everything below",
        PathMatch.PATTERN: f"{requests} whose path matches {path}",
        PathMatch.AS_SENT: f"{requests} whose path is sent as {path}",
    }
    return paths[path_match]


def listed(words: list[str], joint: str = "and") -> str:
    if len(words) < 3:
        return f" {joint} ".join(words)
    return f"{', '.join(words[:-1])}, {joint} {words[-1]}"
