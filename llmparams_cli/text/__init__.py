"""Text as data: decoding bytes, escaping what is unsafe to print, measuring and cutting."""
