// The one script of the portal. It runs where a passkey is made or used, asks the browser for it, and puts the answer into the page's
// form. It decides nothing and checks nothing: the seal's door does.
"use strict";

const form = document.querySelector("form[data-passkey]");
const button = form.querySelector("button");
const told = document.getElementById("told");
const asked = form.dataset;
const TIMEOUT = 120000;

const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (one) => one.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const known = () => asked.known.split(" ").filter(Boolean).map((id) => ({ type: "public-key", id: bytes(id) }));

const say = (words) => {
  told.textContent = words;
  told.hidden = false;
};

async function made() {
  const credential = await navigator.credentials.create({
    publicKey: {
      rp: { id: asked.party, name: "signoff" },
      user: { id: bytes(asked.user), name: asked.name, displayName: asked.display },
      challenge: crypto.getRandomValues(new Uint8Array(32)), // nothing is attested; the login that follows says whose key it is
      pubKeyCredParams: [-7, -8, -257].map((alg) => ({ type: "public-key", alg })),
      authenticatorSelection: { userVerification: "required", residentKey: "preferred" },
      excludeCredentials: known(),
      attestation: "none",
      timeout: TIMEOUT,
    },
  });
  const key = credential.response.getPublicKey();
  if (key === null) throw new DOMException("the browser cannot read its key", "NotSupportedError");
  return { credential: text(credential.rawId), publicKey: text(key) };
}

async function used() {
  const { rawId, response } = await navigator.credentials.get({
    publicKey: {
      rpId: asked.party,
      challenge: bytes(asked.challenge),
      allowCredentials: known(),
      userVerification: "required",
      timeout: TIMEOUT,
    },
  });
  return {
    credential: text(rawId),
    clientDataJSON: text(response.clientDataJSON),
    authenticatorData: text(response.authenticatorData),
    signature: text(response.signature),
  };
}

const WHY = {
  NotAllowedError: "It was not allowed, took too long, or none of your passkeys is at hand.",
  InvalidStateError: "This authenticator holds one of your passkeys already.",
  NotSupportedError: "The authenticator makes no key that is taken here.",
  SecurityError: "The browser lets no passkey be used at this address.",
};

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true; // one press, one question
  try {
    const answer = asked.passkey === "make" ? await made() : await used();
    for (const [name, value] of Object.entries(answer)) form.elements.namedItem(name).value = value;
    form.submit();
  } catch (error) {
    say(`${asked.nothing} ${WHY[error.name] ?? `The browser says: ${error.name}.`} You can press again.`);
    button.disabled = false;
  }
});

if (window.PublicKeyCredential === undefined) say(`${asked.nothing} This browser knows no passkeys: use another.`);
else button.hidden = false;
