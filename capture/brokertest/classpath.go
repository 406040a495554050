package brokertest

// ClassPath returns the class path with which a Java program can be a JMS
// client of a broker, for tests that compile and run one; ErrNoActiveMQ where
// there is none.
func ClassPath() (string, error) {
	_, path, err := classPath(false)
	return path, err
}
