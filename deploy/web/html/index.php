<?php
// The demo's front page: which instance answered, and from where.
require __DIR__ . '/lib.php';

$instance = instance_name();
$page = "<!doctype html>\n<html lang=\"en\"><head><title>$instance</title></head><body>\n"
    . "<h1>Hello from $instance</h1>\n"
    . '<p>Instance address: ' . htmlspecialchars($_SERVER['SERVER_ADDR'] . ':' . $_SERVER['SERVER_PORT']) . "</p>\n"
    . '<p>Your address: ' . htmlspecialchars($_SERVER['HTTP_X_FORWARDED_FOR'] ?? $_SERVER['REMOTE_ADDR']) . "</p>\n"
    . "<p>Reload: the next instance answers.</p>\n</body></html>\n";
header('X-Content-SHA256: ' . hash('sha256', $page));
header('Content-Type: text/html; charset=utf-8');
header('Content-Length: ' . strlen($page));
echo $page;
