package api

// Routes are all routes of the public address, as "GET /loyalty/:userId".
func (s *Server) Routes() (all []string) {
	for _, each := range s.echo.Routes() {
		all = append(all, each.Method+" "+each.Path)
	}
	return all
}
