"""What detectors share: single stage, two stages, YOLO, keypoints, refinement."""
