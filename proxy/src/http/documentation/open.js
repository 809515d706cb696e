// A validator on another host would be shown the document, and be asked for by every visitor.
SwaggerUIBundle({
  dom_id: "#browser",
  url: "openapi.json",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
});
