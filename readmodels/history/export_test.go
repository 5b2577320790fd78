package history

// Settle waits until no snapshot is being made.
func (h *History) Settle() { h.background.Wait() }
