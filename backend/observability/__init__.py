"""What live versions did, whether their objectives hold, and the incidents that follow when they don't."""
