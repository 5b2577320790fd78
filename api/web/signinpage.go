package web

import (
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
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

// signInPage is the page on which somebody signs in, is told why they can't, or is told that they are signed out.
type signInPage struct {
	Title string
	// To is the path to go to afterwards.
	To string
	// People are whom a developer can be; none outside of development.
	People []person
	// Problem says what went wrong and what to do, and Note what else there is to know; empty if there is nothing.
	Problem, Note string
	// Next is where the one button of the page leads, and NextLabel what it says; empty if there is none.
	Next, NextLabel string
}

// signInAt is the address of the sign-in that leads to a path of ours. With afresh the identity provider asks who it is.
func signInAt(to string, afresh bool) string {
	query := url.Values{"to": {to}}
	if afresh {
		query.Set(afreshParameter, "true")
	}
	return "/sign-in?" + query.Encode()
}

// write answers with the page and the given status.
func (s signInPage) write(w http.ResponseWriter, status int) error {
	if s.Title == "" {
		s.Title = "Sign in"
	}
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
