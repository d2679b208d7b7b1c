// Passkeys: asks the browser to make or to use one, and sends its answer with the form the button is in.
(function () {
  "use strict";
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const listed = (known) => (known || []).map((one) => ({ ...one, id: bytes(one.id) }));

  async function make(options) {
    const user = { ...options.user, id: bytes(options.user.id) };
    const publicKey = { ...options, user, challenge: bytes(options.challenge), excludeCredentials: listed(options.excludeCredentials) };
    const made = await navigator.credentials.create({ publicKey });
    const { clientDataJSON, attestationObject } = made.response;
    return said(made, { clientDataJSON: text(clientDataJSON), attestationObject: text(attestationObject) });
  }
  async function use(options) {
    const publicKey = { ...options, challenge: bytes(options.challenge), allowCredentials: listed(options.allowCredentials) };
    const shown = await navigator.credentials.get({ publicKey });
    const { clientDataJSON, authenticatorData, signature, userHandle } = shown.response;
    return said(shown, {
      clientDataJSON: text(clientDataJSON), authenticatorData: text(authenticatorData), signature: text(signature),
      userHandle: userHandle ? text(userHandle) : null,
    });
  }
  const said = (key, response) => JSON.stringify({ id: key.id, rawId: text(key.rawId), type: key.type, clientExtensionResults: {}, response });

  document.querySelectorAll("[data-passkey]").forEach((button) => {
    const form = button.form;
    const told = form.querySelector("[data-passkey-said]");
    button.hidden = false;
    const why = location.origin !== button.dataset.home ? button.dataset.elsewhere : window.PublicKeyCredential ? "" : button.dataset.unable;
    if (why) {
      button.disabled = true;
      told.textContent = why;
      return;
    }
    button.addEventListener("click", async () => {
      const options = JSON.parse(button.dataset.options);
      // Who is only now saying who they are is named in the passkey as they have just typed it.
      const typed = button.hasAttribute("data-typed") ? [form.elements.email, form.elements.name] : [];
      if (typed.some((field) => !field.reportValidity())) return;
      if (typed.length) options.user = { ...options.user, name: typed[0].value, displayName: typed[1].value };
      button.disabled = true;
      try {
        form.querySelector("[data-passkey-answer]").value = await (button.dataset.passkey === "create" ? make(options) : use(options));
        form.submit();
      } catch {
        told.textContent = button.dataset.failed;
        button.disabled = false;
      }
    });
  });
})();
