<?php
// Answers with what PHP hands to a script: [place, path, value in base64].
function values(string $place, $what, array $path, array &$found): void {
    if (is_array($what)) {
        foreach ($what as $name => $one) values($place, $one, [...$path, (string) $name], $found);
    } elseif (is_string($what)) {
        $found[] = [$place, array_map('base64_encode', $path), base64_encode($what)];
    }
}

function elements(SimpleXMLElement $element, array &$found): void {
    $found[] = ['xml', [], base64_encode((string) $element)];
    foreach ($element->attributes() as $value) $found[] = ['xml', [], base64_encode((string) $value)];
    foreach ($element->children() as $child) elements($child, $found);
    foreach ($element->getNamespaces(true) as $namespace) {
        foreach ($element->attributes($namespace) as $value) $found[] = ['xml', [], base64_encode((string) $value)];
        foreach ($element->children($namespace) as $child) elements($child, $found);
    }
}

$found = [];
values('field', $_POST, [], $found);
foreach ($_FILES as $name => $file) {
    values('file', $file['full_path'] ?? $file['name'], [(string) $name], $found);
    values('file', $file['name'], [(string) $name], $found);
}
$type = strtolower($_SERVER['CONTENT_TYPE'] ?? '');
if (str_contains($type, 'json')) {
    values('json', json_decode(file_get_contents('php://input'), true), [], $found);
}
if (str_contains($type, 'xml')) {
    libxml_use_internal_errors(true);
    foreach ([0, LIBXML_NOENT | LIBXML_NOCDATA] as $options) {
        $read = simplexml_load_string(file_get_contents('php://input'), SimpleXMLElement::class, $options);
        if ($read !== false) elements($read, $found);
    }
}
header('Content-Type: application/json');
echo json_encode($found);
