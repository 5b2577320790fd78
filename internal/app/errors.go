package app

// ConfigError is a mistake in the configuration of a process: the process was used wrongly, nothing failed. Its text is for
// whoever started the process.
type ConfigError struct{ error }
