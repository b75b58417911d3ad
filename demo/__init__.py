"""The demo: signoff's main job in scenes, on a real control plane, with real kubectl. Each scene asserts what it tells."""
