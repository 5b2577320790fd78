package web

import (
	"embed"
	"fmt"
	"html/template"
	"net/http"
)

//go:embed templates
var templates embed.FS

var signInTemplate = template.Must(template.ParseFS(templates, "templates/sign-in.html"))

// person is somebody whom a developer can be with one click.
type person struct {
	// Role and ID go into the token. Choose lets the developer say another ID.
	Role, ID string
	Choose   bool
	// Label says who it is, About what they see.
	Label, About string
}

// signInPage is the page on which somebody signs in, or is told why they can't.
type signInPage struct {
	// To is the path to go to afterwards.
	To string
	// People are whom a developer can be; none outside of development.
	People []person
	// Problem says what went wrong and what to do; empty if nothing did.
	Problem string
	// Again offers to try again.
	Again bool
}

// write answers with the page and the given status.
func (s signInPage) write(w http.ResponseWriter, status int) error {
	header := w.Header()
	Protect(header)
	header.Set("Content-Type", types[".html"])
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if err := signInTemplate.Execute(w, s); err != nil {
		return fmt.Errorf("write the page for signing in: %w", err)
	}
	return nil
}
