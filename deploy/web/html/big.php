<?php
// ?bytes=N: N bytes, the same ones on every instance, with their SHA-256 in a header. &chunked=1 leaves the length out,
// so that Apache uses chunked coding.
require __DIR__ . '/lib.php';

$bytes = filter_var($_GET['bytes'] ?? '1048576', FILTER_VALIDATE_INT, ['options' => ['min_range' => 0, 'max_range' => 1 << 30]]);
if ($bytes === false) {
    http_response_code(400);
    exit("bytes: wanted a number up to 1073741824\n");
}

// 64 KiB that do not compress; the stream repeats them.
$block = '';
for ($i = 0; $i < 2048; ++$i) {
    $block .= hash('sha256', "ringway $i", true);
}
$whole = intdiv($bytes, strlen($block));
$rest = substr($block, 0, $bytes % strlen($block));

$context = hash_init('sha256');
for ($i = 0; $i < $whole; ++$i) {
    hash_update($context, $block);
}
hash_update($context, $rest);
header('X-Content-SHA256: ' . hash_final($context));
header('Content-Type: application/octet-stream');
if (empty($_GET['chunked'])) {
    header("Content-Length: $bytes");
}
for ($i = 0; $i < $whole; ++$i) {
    echo $block;
    flush();
}
echo $rest;
