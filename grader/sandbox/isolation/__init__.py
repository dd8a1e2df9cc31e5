"""What the operating system holds a submission to: limits, namespaces, system calls."""
