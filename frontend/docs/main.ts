// The page about the HTTP API. It is served below /docs/ and /api/docs/ and asks for the document beside that folder.
import SwaggerUI from 'swagger-ui-dist/swagger-ui-es-bundle.js';
import 'swagger-ui-dist/swagger-ui.css';

SwaggerUI({
  url: '../openapi.json',
  dom_id: '#api',
  deepLinking: true,
  displayRequestDuration: true,
  validatorUrl: null, // nothing is asked of other machines
});
