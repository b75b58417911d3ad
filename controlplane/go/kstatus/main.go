// Command kstatus answers what sigs.k8s.io/cli-utils/pkg/kstatus, the library by which Flux and other appliers wait
// for a resource, makes of an object.
//
// It reads one JSON object a line on standard input and writes one JSON object a line: status and message, or the
// library's error. The tests hold the conditions that signoff's operator reports against it.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

type answer struct {
	Status  string `json:"status,omitempty"`
	Message string `json:"message,omitempty"`
	Error   string `json:"error,omitempty"`
}

func judge(line []byte) (answer, error) {
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(line); err != nil {
		return answer{}, fmt.Errorf("each line holds one object: %w", err)
	}
	result, err := status.Compute(object)
	if err != nil {
		return answer{Error: err.Error()}, nil
	}
	return answer{Status: result.Status.String(), Message: result.Message}, nil
}

func answerAll() error {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 0, 64*1024), 1024*1024)
	answers := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		judged, err := judge(lines.Bytes())
		if err != nil {
			return err
		}
		if err := answers.Encode(judged); err != nil {
			return err
		}
	}
	return lines.Err()
}

func main() {
	if err := answerAll(); err != nil {
		fmt.Fprintln(os.Stderr, "kstatus:", err)
		os.Exit(1)
	}
}
