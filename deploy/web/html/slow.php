<?php
// ?ms=N: answers after N milliseconds (at most a minute).
require __DIR__ . '/lib.php';

$ms = max(0, min(60000, (int) ($_GET['ms'] ?? 1000)));
usleep($ms * 1000);
$line = "slept $ms ms on " . instance_name() . "\n";
header('Content-Type: text/plain');
header('Content-Length: ' . strlen($line));
echo $line;
