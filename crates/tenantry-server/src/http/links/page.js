// What the links in mails are about. Nothing is sent before the person says so, except for a look at an invitation.
"use strict";

const page = location.pathname.split("/").filter(Boolean).pop();
const parameters = new URLSearchParams(location.search);
const token = parameters.get("token") ?? "";
const [title, told, form] = ["title", "told", "form"].map((id) => document.getElementById(id));

// The token is not to stay in the address bar, nor in the history.
history.replaceState(null, "", location.pathname);

async function post(path, body, bearer) {
  const headers = { "Content-Type": "application/json" };
  if (bearer) headers.Authorization = `Bearer ${bearer}`;
  const response = await fetch(`/v1${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail ?? answer.title);
  return answer;
}

const password = { name: "password", label: "Password", type: "password", autocomplete: "new-password" };

// Each page: its heading, what it asks for, and what its buttons do. A button answers with what to tell.
const pages = {
  verify: {
    title: "Confirm your e-mail address",
    buttons: { Confirm: async () => (await post("/users/verify", { token }), "The address is confirmed. You can sign in now.") },
  },
  enroll: {
    title: "Set up your organization",
    buttons: {
      Confirm: async () => {
        const { organization } = await post("/users/verify", { token });
        return `${organization.name} is set up, and you are its administrator.`;
      },
    },
  },
  email: {
    title: "Use this e-mail address",
    buttons: { Confirm: async () => `Your address is ${(await post("/users/email/confirm", { token })).email} now.` },
  },
  reset: {
    title: "Choose a new password",
    fields: [password],
    buttons: {
      Save: async (given) => (
        await post("/users/password-reset/confirm", { token, password: given.password }), "The new password works from now on."
      ),
    },
  },
  enrollment: {
    title: "Set up an organization",
    fields: [
      { name: "name", label: "Name of the organization", autocomplete: "organization" },
      { name: "email", label: "Your e-mail address", type: "email", autocomplete: "email" },
      password,
    ],
    buttons: {
      "Set up": async (given) => (await post("/enroll", { token, ...given }), "A mail is on its way: follow its link to finish."),
    },
  },
  invitation: async () => {
    const invitation = await post("/invitations/preview", { token });
    const heading = `Join ${invitation.organization} as ${invitation.role}`;
    if (invitation.status !== "pending") return { title: heading, told: `The invitation is ${invitation.status}.` };
    const joined = (accepted) => `You are a member of ${accepted.organization} now.`;
    const answer = invitation.registered
      ? {
          fields: [
            { ...password, autocomplete: "current-password" },
            { name: "code", label: "Code of your authenticator, if you have one", autocomplete: "one-time-code", optional: true },
          ],
          accept: async (given) => {
            const signIn = { email: invitation.email, password: given.password };
            if (given.code) signIn.code = given.code;
            const session = await post("/sessions", signIn);
            return joined(await post("/invitations/accept", { token }, session.token));
          },
        }
      : {
          fields: [{ name: "name", label: "Your name", autocomplete: "name" }, password],
          accept: async (given) => joined(await post("/invitations/accept", { token, ...given })),
        };
    return {
      title: heading,
      told: `For ${invitation.email}.`,
      fields: answer.fields,
      buttons: {
        Accept: answer.accept,
        Decline: async () => (await post("/invitations/decline", { token }), "You declined."),
      },
    };
  },
  provider: {
    title: "Sign in",
    buttons: {
      Continue: async () => {
        const answer = { state: parameters.get("state") ?? "", code: parameters.get("code") ?? "" };
        return `You are signed in as ${(await post("/sessions/provider/confirm", answer)).user.email}.`;
      },
    },
  },
};

function say(text, refused) {
  told.textContent = text;
  told.className = refused ? "refused" : "";
}

function show(wanted) {
  title.textContent = document.title = wanted.title;
  say(wanted.told ?? "");
  for (const { label, optional, ...attributes } of wanted.fields ?? []) {
    const input = Object.assign(document.createElement("input"), { required: !optional, ...attributes });
    const around = document.createElement("label");
    around.append(label, input);
    form.append(around);
  }
  for (const [place, [text, act]] of Object.entries(wanted.buttons ?? {}).entries()) {
    const button = Object.assign(document.createElement("button"), { textContent: text, type: place ? "button" : "submit" });
    if (place) button.className = "second";
    button.dataset.act = text;
    button.addEventListener("click", async (event) => {
      event.preventDefault();
      if (!place && !form.reportValidity()) return;
      const buttons = form.querySelectorAll("button");
      buttons.forEach((other) => (other.disabled = true));
      try {
        const given = Object.fromEntries([...new FormData(form)].filter(([, value]) => value !== ""));
        say(await act(given));
        form.hidden = true;
      } catch (error) {
        say(error.message, true);
        buttons.forEach((other) => (other.disabled = false));
      }
    });
    form.append(button);
  }
  form.hidden = false;
}

(async () => {
  try {
    const wanted = pages[page];
    show(typeof wanted === "function" ? await wanted() : (wanted ?? { title: "There is no such page" }));
  } catch (error) {
    title.textContent = "That did not work";
    say(error.message, true);
  }
})();
