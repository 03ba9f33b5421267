"""What each family of rules is, what its false positives look like, and what is lost without it. CRS numbers families by
thousands; 200 are Coraza's own recommended rules."""

from collections.abc import Mapping
from typing import NamedTuple


class Family(NamedTuple):
    name: str
    what: str
    false_positive: str
    lost: str


OTHER = Family(
    "Other",
    "A family that this guardpanel does not know.",
    "Look at the events: they show what the rule matched.",
    "What the rule’s message names is no longer detected.",
)

FAMILIES: Mapping[int, Family] = {
    200: Family(
        "Request parsing",
        "Coraza’s own checks: a body, multipart form or URL that cannot be parsed, and too many arguments.",
        "A body in another format than its content type, a URL with a broken escape (/100%), very long forms.",
        "Bodies that Coraza cannot parse pass without inspection. Attackers use that to hide from every other rule.",
    ),
    901: Family(
        "Initialization",
        "Sets the variables that all other rules read: thresholds, paranoia levels, points and lists of allowed values.",
        "None: these rules match no visitor’s input.",
        "The rule set cannot work without them.",
    ),
    905: Family(
        "Common exceptions",
        "Leaves out requests that servers send to themselves, such as Apache’s internal connections.",
        "None: these rules only make exceptions.",
        "Internal requests of some servers are inspected and may be blocked.",
    ),
    911: Family(
        "Methods",
        "Compares the request’s method with the methods that the policy allows.",
        "REST APIs, WebDAV and git use PUT, PATCH, DELETE or PROPFIND. Add the method to the policy’s allowed methods.",
        "Any method reaches the application, also ones that it handles without checks.",
    ),
    913: Family(
        "Scanner detection",
        "Recognizes vulnerability scanners by their User-Agent.",
        "Your own monitoring or an authorized security scan.",
        "Scanners that name themselves are not stopped at their first request.",
    ),
    920: Family(
        "Protocol enforcement",
        "Checks that a request is valid HTTP, and that the policy allows its headers, content type, extension and sizes.",
        "Unusual clients: scripts without a User-Agent or Accept header, APIs with other content types, very long forms.",
        "Malformed requests pass. They often hide an attack from the WAF that the server then understands.",
    ),
    921: Family(
        "Protocol attacks",
        "Detects attacks on HTTP itself: request smuggling, response splitting, header injection and parameter pollution.",
        "Text fields with several lines that look like headers, or forms that repeat a field on purpose.",
        "An attacker can slip a second request past the proxy, or inject headers into responses.",
    ),
    922: Family(
        "Multipart attacks",
        "Checks the headers of the parts of a multipart form: character set, content type and transfer encoding.",
        "Old mail clients and libraries that send part headers which browsers do not.",
        "A part in another character set hides its content from all other rules.",
    ),
    930: Family(
        "Local file inclusion",
        "Detects paths that leave the folder they belong to (../) and names of files that must not be read, such as /etc/passwd.",
        "Fields that contain paths: file managers, documentation, code editors, deployment tools.",
        "An attacker may read configuration, keys and source code of the server.",
    ),
    931: Family(
        "Remote file inclusion",
        "Detects parameters that point to a file on another server, for the application to load and run.",
        "Fields that contain a URL: login redirects, webhooks, links with an IP address in place of a hostname.",
        "An application that includes files by name may run an attacker’s code.",
    ),
    932: Family(
        "Remote command execution",
        "Detects commands for Unix shells, Windows and PowerShell inside of values.",
        "Text with code or command lines: tickets, wikis, CI settings, prose with “time” or “find” after a semicolon.",
        "An application that passes input to a shell gives an attacker the whole server.",
    ),
    933: Family(
        "PHP injection",
        "Detects PHP code, PHP functions and variables, and uploads of PHP files.",
        "Editors for themes and plugins, forums about programming, fields that contain source code.",
        "On PHP applications an attacker may run code. Without PHP behind it, little is lost.",
    ),
    934: Family(
        "Generic attacks",
        "Detects code for Node.js, Ruby and Perl, template injection, server-side request forgery and prototype pollution.",
        "Fields that contain templates or code, JSON with names such as constructor, URLs of internal hosts.",
        "An attacker may run code in the application or have it call internal services.",
    ),
    941: Family(
        "Cross-site scripting (XSS)",
        "Detects HTML and JavaScript in values that a page could show to other visitors.",
        "Rich-text editors: articles, comments and mail with HTML, SVG uploads, code examples.",
        "An application that shows input unescaped runs an attacker’s script in other visitors’ browsers.",
    ),
    942: Family(
        "SQL injection",
        "Detects SQL in values: quotes that end a string, UNION SELECT, comments, functions, always-true conditions.",
        "Prose with quotes and SQL words, names such as O’Brien, search fields, reporting tools, random tokens.",
        "An application that builds SQL from input may give an attacker its whole database.",
    ),
    943: Family(
        "Session fixation",
        "Detects attempts to set a visitor’s session ID, by a cookie in HTML or by a parameter from another site.",
        "Links from partner sites that carry a session parameter, such as payment or single sign-on returns.",
        "An attacker may choose a visitor’s session ID in advance and use it after the visitor logs in.",
    ),
    944: Family(
        "Java attacks",
        "Detects Java class names, serialized Java objects and lookups such as Log4Shell.",
        "Log and error reports, developer tools, base64 text that happens to begin like a Java object.",
        "On Java applications an attacker may run code. Without Java behind it, little is lost.",
    ),
    949: Family(
        "Inbound blocking",
        "Adds up the points of all request rules and blocks when they reach the inbound threshold.",
        "These rules find nothing themselves. Fix the rules that added the points, or raise the threshold.",
        "Nothing is blocked by score any more: the policy only detects.",
    ),
    950: Family(
        "Data leaks",
        "Looks in responses for directory listings, source code and server errors. Only where the policy inspects responses.",
        "Pages that show code or file lists on purpose.",
        "Visitors see listings and source code that the application should not send.",
    ),
    951: Family(
        "SQL data leaks",
        "Looks in responses for error messages of databases. Only where the policy inspects responses.",
        "Documentation and forums that quote database errors.",
        "Error messages tell an attacker how to refine an SQL injection.",
    ),
    952: Family(
        "Java data leaks",
        "Looks in responses for Java errors and source code. Only where the policy inspects responses.",
        "Documentation and forums that quote Java errors.",
        "Stack traces show an attacker the application’s structure.",
    ),
    953: Family(
        "PHP data leaks",
        "Looks in responses for PHP errors and source code. Only where the policy inspects responses.",
        "Documentation and forums that quote PHP errors or code.",
        "Errors and source code show an attacker paths and credentials.",
    ),
    954: Family(
        "IIS data leaks",
        "Looks in responses for errors of Microsoft IIS. Only where the policy inspects responses.",
        "Documentation that quotes IIS errors.",
        "Errors show an attacker paths and versions of the server.",
    ),
    955: Family(
        "Web shells",
        "Looks in responses for pages of known web shells. Only where the policy inspects responses.",
        "Pages about security that show a web shell’s page.",
        "A web shell that an attacker has uploaded can be used without being noticed.",
    ),
    956: Family(
        "Ruby data leaks",
        "Looks in responses for Ruby errors. Only where the policy inspects responses.",
        "Documentation that quotes Ruby errors.",
        "Stack traces show an attacker the application’s structure.",
    ),
    959: Family(
        "Outbound blocking",
        "Adds up the points of all response rules and blocks when they reach the outbound threshold.",
        "These rules find nothing themselves. Fix the rules that added the points, or raise the threshold.",
        "Responses are never blocked by score: the policy only detects.",
    ),
    980: Family(
        "Reporting",
        "Writes the scores of a request to the log when it is done.",
        "These rules find nothing themselves.",
        "The scores are not logged. Nothing changes for visitors.",
    ),
}


def family(number: int) -> Family:
    return FAMILIES.get(number, OTHER)
