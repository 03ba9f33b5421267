"""Text that tries to be more than text: for every field that somebody can type into."""

CORPUS: list[str] = [
    # Controls and what some program takes for the end of a line
    "a\nb", "a\rb", "a\r\nb", "a\0b", "a\tb", "a\vb", "a\fb", "a\x1b[31mb", "a\x7fb", "a\x85b", "a\u2028b", "a\u2029b", "\ufeffa", "a\n",
    "\na", "a\\\nb", "a%0ab", "a&#10;b", "a\\nb", "a\\x0ab", "a\\",
    # Quotes, comments, expansion
    "'", '"', "''", "a'b", 'a"b', "a' b", "a'\\''b", "`id`", "a#b", "# a", "a # b", "$HOME", "${HOME}", '"${HOME}"', "$(id)", "a;b", "a|b",
    "%", "%%", "%[src]", "%[env(HOME)]", "%{+Q}o", "%ci", "a%20b", "{{ 7*7 }}", "{% raw %}", "{# a #}",
    # HAProxy
    "a if TRUE", "a unless { always_true }", "a } { always_true", "x.test be_1\ny.test be_2", "-f /etc/passwd", "-m reg .*", "--", "-",
    "a'\n    http-request deny\n    #", "127.0.0.1:80 check\n    server s2 127.0.0.1:81", "127.0.0.1:80 weight 0", "127.0.0.1:80 disabled",
    "unix@/var/run/docker.sock", "/run/haproxy/admin.sock", "abns@x", "fd@3", "ipv4@127.0.0.1", "sockpair@3", "lua.x", ".if TRUE", "TRUE",
    "/etc/passwd", "../../etc/passwd", "a/../../b", "http://", "https://a/b", "http://user:pw@a", "a@b", "a:b", "a:0", "a:65536", "a:８０８０",
    "１２７.0.0.1", "0x7f.1", "127.1", "[::1", "::1", "[::1%25eth0]:80", "169.254.169.254", "0.0.0.0", "*", "*.*", "*.", "a.*.b", "a b.test",
    # SecLang
    'a"\nSecRuleEngine Off\n#', "a',ctl:ruleEngine=Off,msg:'b", "ctl:ruleEngine=Off", "%{REQUEST_METHOD}", "GET|POST", "GET' \"", "a,allow",
    "Include /etc/passwd", "SecRuleRemoveById 1-999999", "@pmFromFile /etc/passwd", "GET SecRuleEngine", "/.*", "/", "//", "/a/../b", ".a b",
    # YAML
    "a: b", "- a", "a: |", "|", ">", "&a", "*a", "!!python/object/apply:os.system [id]", "? a", "yes", "null", "~", "---", "...", "@a", "a\n---\nb",
    # Letters that are not what they look like
    "a\u202eb", "\u200fa", "a\u200bb", "a\u00adb", "\u2066a", "ⓐ.test", "ﬀ.test", "ä.test", "xn--a", "İ", "K", "‚", "’", "a\ud7ffb", "a\ue000b", "😀",
    "a\u0301", "ｅxample", "а.test",
    # Size
    "", " ", "x" * 65536, "a." * 200, "é" * 5000, "'" * 1000, "\\" * 1000, "(a+)+$", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
    # HTML, SQL, shells: for pages and logs
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "javascript:alert(1)", "' OR '1'='1", "; DROP TABLE policy;--", "=1+1", "@SUM(1)",
]
