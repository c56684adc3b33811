import { expect, it } from "vitest";
import { hubAddress } from "./hub-address.js";

it("is huggingface.co unless the page's address names another", () => {
  expect(hubAddress("https://page.example/")).toBe("https://huggingface.co");
  expect(hubAddress("https://page.example/?hub=http://localhost:8000/")).toBe("http://localhost:8000");
  expect(() => hubAddress("https://page.example/?hub=javascript:alert()")).toThrow("expected an address");
  expect(() => hubAddress("https://page.example/?hub=https://")).toThrow("expected an address");
});
