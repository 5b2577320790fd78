package app

// ConfigError is a mistake in the configuration of a process. Its text says what to do in terms of flags and environment variables.
type ConfigError struct{ error }
