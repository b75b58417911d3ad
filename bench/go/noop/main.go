// A webhook that admits everything: what any webhook costs, at the least. The review is parsed for its uid, as every webhook must.
package main

import (
	"encoding/json"
	"flag"
	"io"
	"log"
	"net/http"
)

type review struct {
	Request struct {
		UID string `json:"uid"`
	} `json:"request"`
}

func main() {
	listen := flag.String("listen", "", "address")
	certificate := flag.String("certificate", "", "PEM file")
	key := flag.String("key", "", "PEM file")
	flag.Parse()
	http.HandleFunc("/readyz", func(answer http.ResponseWriter, _ *http.Request) { io.WriteString(answer, "ok\n") })
	http.HandleFunc("/admit", admit)
	log.Fatal(http.ListenAndServeTLS(*listen, *certificate, *key, nil))
}

func admit(answer http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	var asked review
	if err == nil {
		err = json.Unmarshal(body, &asked)
	}
	if err != nil {
		http.Error(answer, err.Error(), http.StatusBadRequest)
		return
	}
	answer.Header().Set("Content-Type", "application/json")
	json.NewEncoder(answer).Encode(map[string]any{
		"apiVersion": "admission.k8s.io/v1",
		"kind":       "AdmissionReview",
		"response":   map[string]any{"uid": asked.Request.UID, "allowed": true},
	})
}
