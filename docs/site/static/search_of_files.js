// A page that was opened as a file must not read others, so a search there shows titles without the text around the words.
if (window.location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
