// SPDX-License-Identifier: Apache-2.0
// Read from the file system a page cannot fetch another one: the search then lists titles without extracts.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
