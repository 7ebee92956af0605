<?php
// Says what arrived: length and SHA-256 of the request's body, in headers and in a line of text. Reads it as a stream.
require __DIR__ . '/lib.php';

$context = hash_init('sha256');
$length = 0;
$input = fopen('php://input', 'rb');
while (($piece = fread($input, 1 << 16)) !== false && $piece !== '') {
    $length += strlen($piece);
    hash_update($context, $piece);
}
$digest = hash_final($context);
$line = "$length $digest " . instance_name() . "\n";
header("X-Body-Length: $length");
header("X-Body-SHA256: $digest");
header('X-Content-SHA256: ' . hash('sha256', $line));
header('Content-Type: text/plain');
header('Content-Length: ' . strlen($line));
echo $line;
