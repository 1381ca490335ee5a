package serve

import _ "embed"

// openAPI describes the interfaces, OpenAPI 3.1.
//
//go:embed openapi.json
var openAPI []byte
