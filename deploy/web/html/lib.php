<?php
// What every page needs: the instance says who it is in X-Served-By. In a container that is the hostname.

function instance_name(): string
{
    return getenv('RINGWAY_DEMO_INSTANCE') ?: gethostname();
}

header('X-Served-By: ' . instance_name());
header('Cache-Control: no-store');
