"""The whole line of an event as it is stored: compressed, with what all lines have in common left out.

The first byte says how. A dictionary that lines were once stored with is never changed: another one gets another byte.
"""

import zlib

PLAIN, WITH_FIRST_DICTIONARY = b"\x00", b"\x01"

FIRST_DICTIONARY = (
    b'"tags":["modsecurity","application-multi","language-multi","platform-multi","language-php","language-java",'
    b'"language-javascript","language-powershell","platform-windows","platform-unix","attack-generic","attack-protocol",'
    b'"attack-reputation-scanner","attack-disclosure","attack-lfi","attack-rce","attack-injection-php","attack-xss",'
    b'"attack-sqli","OWASP_CRS/","capec/1000/152/137/6","capec/1000/152/248/66","capec/1000/210/272","PCI/6.5.10",'
    b'"OWASP_CRS/PROTOCOL-ENFORCEMENT","paranoia-level/1"],"matches":[{"variable":"REQUEST_HEADERS","key":"'
    b'"message":"Host header is a numeric IP address","data":"SQL Injection Attack Detected via libinjection'
    b"Inbound Anomaly Score Exceeded (Total Score: XSS Filter - Category 1: Script Tag Vector"
    b'Matched Data: found within ARGS:: "severity":"warning","severity":"notice","severity":"critical","paranoia_level":"1",'
    b'"application":"p","phase":"request","verdict":"blocked","action":"deny","status":403,"rule":949110,"scores":{'
    b'"blocking_inbound_anomaly_score":5,"detection_inbound_anomaly_score":5,"inbound_anomaly_score_threshold":5,'
    b'"blocking_outbound_anomaly_score":0,"detection_outbound_anomaly_score":0,"outbound_anomaly_score_threshold":4,'
    b'"blocking_paranoia_level":1,"detection_paranoia_level":1},"client":"192.0.2.","client_port":,"method":"GET","uri":"/'
    b'","version":"1.1","headers":[["host",""],["user-agent","Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, '
    b'like Gecko) Chrome/ Safari/537.36"],["accept","text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"],'
    b'["accept-language","en"],["accept-encoding","gzip, deflate, br"],["referer","http"],["cookie","[masked]"],'
    b'["content-type","application/x-www-form-urlencoded"],["content-length",""]],"host":"","body_bytes":0,"body":"",'
    b'"rules":[{"id":920350,"phase":1,"severity":"critical","paranoia_level":"1","message":"","data":"","tags":[],'
    b'"disrupts":true,"matches":[{"variable":"ARGS","key":"","value":"","chain":1,"bytes":1}]},{"id":942100,"phase":2,'
    b'{"id":949110,"phase":2,"severity":"emergency","message":"Inbound Anomaly Score Exceeded (Total Score: 5)","data":"",'
    b'"tags":["anomaly-evaluation","OWASP_CRS"],"disrupts":true,"matches":[{"variable":"TX","key":"'
    b'blocking_inbound_anomaly_score","value":"5","bytes":1}]}]}{"v":1,"time":"2026-","id":"'
)


def packed(line: bytes) -> bytes:
    compressor = zlib.compressobj(level=1, wbits=-15, zdict=FIRST_DICTIONARY)
    small = compressor.compress(line) + compressor.flush()
    return WITH_FIRST_DICTIONARY + small if len(small) < len(line) else PLAIN + line


def unpacked(stored: bytes) -> bytes:
    if stored[:1] == PLAIN:
        return stored[1:]
    return zlib.decompressobj(wbits=-15, zdict=FIRST_DICTIONARY).decompress(stored[1:])
