package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Both browsers reach this machine only.

func chromium(program, profile, page string) (*exec.Cmd, error) {
	return exec.Command(program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--no-proxy-server",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
		"--disable-popup-blocking", "--disable-background-timer-throttling", "--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows",
		"--autoplay-policy=no-user-gesture-required", "--mute-audio", "--window-size=1400,900",
		"--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
		"--user-data-dir="+profile, page), nil
}

func firefox(program, profile, page string) (*exec.Cmd, error) {
	err := os.WriteFile(filepath.Join(profile, "user.js"), []byte(strings.ReplaceAll(firefoxPrefs, "\n\t", "\n")), 0o600)
	return exec.Command(program, "--headless", "--no-remote", "--new-instance", "--profile", profile, page), err
}

// The proxy is an address where nothing listens. Requests to loopback do not use it.
const firefoxPrefs = `
	user_pref("network.proxy.type", 1);
	user_pref("network.proxy.http", "127.0.0.1");
	user_pref("network.proxy.http_port", 9);
	user_pref("network.proxy.ssl", "127.0.0.1");
	user_pref("network.proxy.ssl_port", 9);
	user_pref("network.proxy.no_proxies_on", "localhost, 127.0.0.1");
	user_pref("media.autoplay.default", 0);
	user_pref("media.autoplay.blocking_policy", 0);
	user_pref("media.autoplay.block-webaudio", false);
	user_pref("media.suspend-background-video.enabled", false);
	user_pref("media.gmp-manager.updateEnabled", false);
	user_pref("media.default_volume", "0.0");
	user_pref("dom.min_background_timeout_value", 10);
	user_pref("browser.aboutwelcome.enabled", false);
	user_pref("browser.shell.checkDefaultBrowser", false);
	user_pref("browser.startup.homepage_override.mstone", "ignore");
	user_pref("browser.safebrowsing.malware.enabled", false);
	user_pref("browser.safebrowsing.phishing.enabled", false);
	user_pref("browser.newtabpage.activity-stream.feeds.telemetry", false);
	user_pref("datareporting.policy.dataSubmissionEnabled", false);
	user_pref("datareporting.policy.dataSubmissionPolicyBypassNotification", true);
	user_pref("toolkit.telemetry.enabled", false);
	user_pref("toolkit.telemetry.server", "data:,");
	user_pref("app.normandy.enabled", false);
	user_pref("app.update.auto", false);
	user_pref("extensions.update.enabled", false);
	user_pref("extensions.getAddons.cache.enabled", false);
	user_pref("network.captive-portal-service.enabled", false);
	user_pref("network.connectivity-service.enabled", false);
	user_pref("services.settings.server", "data:,");
`
