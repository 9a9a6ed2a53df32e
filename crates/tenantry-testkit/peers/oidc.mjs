// A real OpenID Connect provider with its own pages for signing in and consenting. Prints its port.
//
// Whoever signs in as `<name>` has the address `<name>@example.com`; the provider vouches for it unless the name begins
// with `unverified`.

import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const [redirect] = process.argv.slice(2);
const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address();
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    clients: [
      {
        client_id: "tenantry",
        client_secret: "a secret of the tests",
        redirect_uris: [redirect],
        token_endpoint_auth_method: "client_secret_basic",
      },
    ],
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
    features: { devInteractions: { enabled: true } },
    cookies: { keys: ["of the tests"] },
    pkce: { required: () => true },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({
        sub: id,
        email: `${id}@example.com`,
        email_verified: !id.startsWith("unverified"),
        name: `${id} of the provider`,
      }),
    }),
  });
  server.on("request", provider.callback());
  console.log(port);
});

// Ends with the test that started it: that closes standard input.
process.stdin.on("end", () => process.exit(0)).resume();
