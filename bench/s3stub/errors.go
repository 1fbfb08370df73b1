package main

import (
	"errors"
	"fmt"
	"net/http"
)

// apiError is an answer that S3 gives as an error document.
type apiError struct {
	status  int
	code    string
	message string
}

func (e *apiError) Error() string { return e.code + ": " + e.message }

var (
	errNoSuchBucket   = &apiError{http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist"}
	errNoSuchKey      = &apiError{http.StatusNotFound, "NoSuchKey", "The specified key does not exist."}
	errNoSuchUpload   = &apiError{http.StatusNotFound, "NoSuchUpload", "The specified upload does not exist."}
	errInvalidPart    = &apiError{http.StatusBadRequest, "InvalidPart", "One or more of the specified parts could not be found."}
	errMalformed      = &apiError{http.StatusBadRequest, "MalformedXML", "The request body is not what was expected"}
	errIncomplete     = &apiError{http.StatusBadRequest, "IncompleteBody", "The body is shorter than its length says"}
	errRange          = &apiError{http.StatusRequestedRangeNotSatisfiable, "InvalidRange", "The requested range is not satisfiable"}
	errPrecondition   = &apiError{http.StatusPreconditionFailed, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"}
	errNotImplemented = &apiError{http.StatusNotImplemented, "NotImplemented", "The benchmark's stub does not do this"}
	errBadCopySource  = &apiError{http.StatusBadRequest, "InvalidArgument", "The copy source is not bucket/key"}
)

func writeError(w http.ResponseWriter, r *http.Request, err error) {
	var known *apiError
	if !errors.As(err, &known) {
		known = &apiError{http.StatusInternalServerError, "InternalError", err.Error()}
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(known.status)
	if r.Method != http.MethodHead {
		fmt.Fprintf(w, xmlHeader+"<Error><Code>%s</Code><Message>%s</Message><RequestId>%s</RequestId></Error>",
			known.code, escape(known.message), requestID)
	}
}
